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
  // Not by `node:timers/promises`: it makes an error with a stack for each sleep that is cut short, and most sleeps are deadlines.
  async sleep(ms, signal) {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason);
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  },
};
