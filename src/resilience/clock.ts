import { setTimeout as delay } from "node:timers/promises";

/** Where time comes from. Logic takes one and never asks the machine itself, so that its tests take microseconds. */
export interface Clock {
  /** Milliseconds since the epoch, by the wall clock. */
  now(): number;
  /** Milliseconds since some fixed moment, never going back. For measuring durations. */
  monotonic(): number;
  /** Waits. Rejects with the signal's reason as soon as it aborts; leaves no timer behind. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The machine's own clocks. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    signal.throwIfAborted();
    try {
      await delay(ms, undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
};
