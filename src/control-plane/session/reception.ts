import { FleetError, type Reason } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { FailureTally } from "../../resilience/failure-tally.ts";
import { FairGate } from "../../resilience/fair-gate.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import { addressGroup } from "./address-group.ts";
import type { AgentCall } from "./agent-call.ts";
import type { SessionSettings } from "./session-settings.ts";

/** What a reception needs. */
export interface ReceptionParts {
  readonly settings: SessionSettings;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
}

// What says that somebody tried to be who they are not, or speaks something else.
const suspicious: ReadonlySet<Reason> = new Set<Reason>([
  "UNAUTHENTICATED",
  "HANDSHAKE_TIMEOUT",
  "PROTOCOL_VIOLATION",
  "INVALID_ARGUMENT",
]);

const slowdown = { stepMs: 250, maxMs: 10_000 };

/** How long a handshake waits whose address failed so often within a minute, of which so many are free, in milliseconds. */
export function handshakeDelayMs(failures: number, free: number): number {
  return Math.min(slowdown.maxMs, Math.max(0, failures - free) * slowdown.stepMs);
}

/**
 * Hears out whoever opens a stream, before any other work is done for them: so many at once, so many from one address, never longer than the
 * time for a handshake, and later those whose address keeps failing.
 */
export class Reception {
  readonly #parts: ReceptionParts;
  readonly #gate: FairGate;
  readonly #failures: FailureTally;
  readonly #visits = new Set<AbortController>();

  constructor(parts: ReceptionParts) {
    const { settings, clock } = parts;
    this.#parts = parts;
    this.#gate = new FairGate({ total: settings.maxHandshakes, each: settings.maxHandshakesEach });
    this.#failures = new FailureTally({ clock });
  }

  /** How many have not said yet who they are, those who wait for their turn included. */
  get size(): number {
    return this.#visits.size;
  }

  /** Lets whoever opened a stream say who they are, which `hear` finds out. Rejects with what the stream is to be ended with. */
  async receive<Known>(call: AgentCall, hear: (signal: AbortSignal) => Promise<Known>): Promise<Known> {
    const { settings, wheel } = this.#parts;
    if (this.#visits.size >= settings.maxWaitingStreams) {
      throw new FleetError("OVERLOADED", "too many agents are introducing themselves at once", {
        retryAfterMs: 5_000,
      });
    }
    const visit = new AbortController();
    this.#visits.add(visit);
    const onGone = () => visit.abort(new FleetError("SESSION_LOST", "the agent went away"));
    call.once("cancelled", onGone);
    const timeout = wheel.schedule(settings.handshakeTimeoutMs, () => visit.abort(tooLate(settings)));
    try {
      return await this.#hear(call, hear, visit.signal);
    } finally {
      timeout.cancel();
      call.off("cancelled", onGone);
      this.#visits.delete(visit);
    }
  }

  /** Sends everybody away who has not said yet who they are. */
  dismiss(reason: FleetError): void {
    for (const visit of this.#visits) visit.abort(reason);
  }

  async #hear<Known>(
    call: AgentCall,
    hear: (signal: AbortSignal) => Promise<Known>,
    signal: AbortSignal,
  ): Promise<Known> {
    const address = addressGroup(call.getPeer());
    const delayMs = handshakeDelayMs(this.#failures.count(address), this.#parts.settings.maxFailedHandshakes);
    await this.#pause(delayMs, signal);
    const leave = await this.#gate.enter(address, signal);
    try {
      return await hear(signal);
    } catch (error) {
      if (error instanceof FleetError && suspicious.has(error.reason)) this.#failures.failed(address);
      throw error;
    } finally {
      leave();
    }
  }

  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    if (delayMs === 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason);
    const timer = this.#parts.wheel.schedule(delayMs, resolve);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
    }
  }
}

function tooLate({ handshakeTimeoutMs }: SessionSettings): FleetError {
  return new FleetError("HANDSHAKE_TIMEOUT", `no Hello came within ${handshakeTimeoutMs} ms`);
}
