import type { Clock } from "./clock.ts";
import { linkSignal } from "./signals.ts";

/**
 * Runs work that may take so long and no longer: its signal aborts with the parent's, or with `late()` when the time
 * is up. Settles as the work does, and leaves no timer and no listener behind.
 */
export async function withDeadline<Value>(
  options: {
    readonly ms: number;
    readonly clock: Clock;
    readonly parent: AbortSignal;
    readonly late: () => unknown;
  },
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const working = linkSignal(options.parent);
  const timer = linkSignal(options.parent);
  const ringing = options.clock.sleep(options.ms, timer.signal).then(
    () => working.abort(options.late()),
    () => undefined,
  );
  try {
    return await work(working.signal);
  } finally {
    timer.abort(new Error("the work has ended"));
    working.release();
    timer.release();
    await ringing;
  }
}
