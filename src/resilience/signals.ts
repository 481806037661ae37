/** A signal that never aborts, for the edge of an API where a caller may leave it out. */
export const neverAborted: AbortSignal = new AbortController().signal;

/** A signal and how to let go of it. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Aborts the signal, unless it is already. */
  abort(reason: unknown): void;
  /** Takes its listener off the parent. To be called in the `finally` of whoever made it. */
  release(): void;
}

/**
 * A signal that aborts with its parent, or by itself. Unlike `AbortSignal.any` it leaves nothing on a long-lived
 * parent once it is released.
 */
export function linkSignal(parent: AbortSignal): LinkedSignal {
  const controller = new AbortController();
  const onAbort = () => controller.abort(parent.reason);
  if (parent.aborted) onAbort();
  else parent.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    release: () => parent.removeEventListener("abort", onAbort),
  };
}

/**
 * Settles as the promise does, or rejects with the signal's reason, whichever comes first. The promise that comes second is left to itself:
 * its rejection is nobody's business any more.
 */
export async function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  // It often rejects because of the same signal, and a rejection that nobody takes ends the process.
  if (signal.aborted) promise.catch(() => undefined);
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
