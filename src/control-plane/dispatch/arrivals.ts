import type { TimerWheel } from "../../resilience/timer-wheel.ts";

/** Lets callers wait for an agent to have a session. */
export class Arrivals {
  readonly #wheel: TimerWheel;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(wheel: TimerWheel) {
    this.#wheel = wheel;
  }

  /** An agent has a session. */
  arrived(agentId: string): void {
    for (const resolve of this.#waiting.get(agentId) ?? []) resolve();
  }

  /** Resolves when the agent has come or the time is over. Rejects with the signal's reason. */
  async wait(agentId: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason);
    const waiting = this.#waiting.get(agentId) ?? new Set();
    this.#waiting.set(agentId, waiting.add(resolve));
    signal.addEventListener("abort", onAbort, { once: true });
    const timer = this.#wheel.schedule(timeoutMs, resolve);
    try {
      await promise;
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(agentId);
    }
  }
}
