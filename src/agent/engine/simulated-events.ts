import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { untilAborted } from "../../resilience/signals.ts";
import type { EngineEvent, EngineNotice } from "./engine.ts";

/** So many events wait for one reader; one that is further behind loses its stream instead of filling the memory. */
const maxPending = 10_000;

/** So many events are kept for readers that ask for earlier ones; as many as Docker keeps. */
const maxKept = 256;

type SimulatedNotice = Exclude<EngineNotice, { readonly kind: "listening" }>;

interface Reader {
  readonly pending: SimulatedNotice[];
  broken: boolean;
  wake: () => void;
}

/** The event stream of a simulated engine, for any number of readers. */
export class SimulatedEvents {
  readonly #clock: Clock;
  readonly #readers = new Set<Reader>();
  readonly #kept: { readonly notice: SimulatedNotice; readonly timeNs: bigint }[] = [];
  #lastNs = 0n;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Tells all readers of what happens now. No two events have the same time. */
  publish(fact: Omit<EngineEvent, "timeNs">): void {
    this.#tell((timeNs) => ({ kind: "event", event: { ...fact, timeNs } }));
  }

  /** Tells all readers that somebody asks now for a signal to a container. */
  asked(containerId: string): void {
    this.#tell((timeNs) => ({ kind: "asked", containerId, timeNs }));
  }

  /** Breaks every stream and forgets what happened, as an engine does that stops. */
  breakAll(): void {
    this.#kept.length = 0;
    for (const reader of this.#readers) {
      reader.broken = true;
      reader.wake();
    }
  }

  /** One more reader, as `Engine.watch` promises. */
  async *follow(signal: AbortSignal, sinceNs?: bigint): AsyncGenerator<EngineNotice> {
    const earlier = sinceNs === undefined ? [] : this.#kept.filter(({ timeNs }) => timeNs >= sinceNs);
    const reader: Reader = { pending: earlier.map(({ notice }) => notice), broken: false, wake: () => {} };
    this.#readers.add(reader);
    try {
      yield { kind: "listening", timeNs: this.#nextNs() };
      while (!signal.aborted) {
        const notice = reader.pending.shift();
        if (notice !== undefined) {
          yield notice;
        } else if (reader.broken) {
          throw new FleetError("ENGINE_UNAVAILABLE", "the simulated engine ended its event stream");
        } else {
          await nextWake(reader, signal);
        }
      }
    } finally {
      this.#readers.delete(reader);
    }
  }

  #tell(noticeAt: (timeNs: bigint) => SimulatedNotice): void {
    const timeNs = this.#nextNs();
    const notice = noticeAt(timeNs);
    this.#lastNs = timeNs;
    this.#kept.push({ notice, timeNs });
    if (this.#kept.length > maxKept) this.#kept.shift();
    for (const reader of this.#readers) {
      if (reader.pending.length >= maxPending) {
        reader.broken = true;
      } else {
        reader.pending.push(notice);
      }
      reader.wake();
    }
  }

  #nextNs(): bigint {
    const nowNs = BigInt(Math.round(this.#clock.now() * 1e6));
    return nowNs > this.#lastNs ? nowNs : this.#lastNs + 1n;
  }
}

/** Returns when there is something to look at, or when the signal aborts. */
async function nextWake(reader: Reader, signal: AbortSignal): Promise<void> {
  const woken = Promise.withResolvers<void>();
  reader.wake = woken.resolve;
  try {
    await untilAborted(woken.promise, signal);
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
  }
}
