import { FleetError } from "../../domain/errors.ts";
import { untilAborted } from "../../resilience/signals.ts";
import type { EngineEvent, EngineNotice } from "./engine.ts";

/** So many events wait for one reader; one that is further behind loses its stream instead of filling the memory. */
const maxPending = 10_000;

interface Reader {
  readonly pending: EngineEvent[];
  broken: boolean;
  wake: () => void;
}

/** The event stream of a simulated engine, for any number of readers. */
export class SimulatedEvents {
  readonly #readers = new Set<Reader>();

  /** Tells all readers. */
  publish(event: EngineEvent): void {
    for (const reader of this.#readers) {
      if (reader.pending.length >= maxPending) {
        reader.broken = true;
      } else {
        reader.pending.push(event);
      }
      reader.wake();
    }
  }

  /** Breaks every stream, as an engine does that stops. */
  breakAll(): void {
    for (const reader of this.#readers) {
      reader.broken = true;
      reader.wake();
    }
  }

  /** One more reader, as `Engine.watch` promises. */
  async *follow(signal: AbortSignal): AsyncGenerator<EngineNotice> {
    const reader: Reader = { pending: [], broken: false, wake: () => {} };
    this.#readers.add(reader);
    try {
      yield { kind: "listening" };
      while (!signal.aborted) {
        const event = reader.pending.shift();
        if (event !== undefined) {
          yield { kind: "event", event };
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
