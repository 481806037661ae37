import type { Clock } from "../../resilience/clock.ts";

/**
 * The same items, and `undefined` at once at the beginning and after each so many milliseconds without one, so that a caller and whatever
 * is between see that the stream lives. Leaving it leaves the source.
 */
export async function* withHeartbeats<Item>(
  source: AsyncIterable<Item>,
  { clock, everyMs }: { readonly clock: Clock; readonly everyMs: number },
): AsyncGenerator<Item | undefined, void> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    yield undefined;
    let next = iterator.next();
    for (;;) {
      const first = await orSilence(next, clock, everyMs);
      if (first === undefined) {
        yield undefined;
        continue;
      }
      if (first.done === true) return;
      yield first.value;
      next = iterator.next();
    }
  } finally {
    await iterator.return?.();
  }
}

async function orSilence<Value>(
  promise: Promise<Value>,
  clock: Clock,
  ms: number,
): Promise<Value | undefined> {
  const waiting = new AbortController();
  const silence = clock.sleep(ms, waiting.signal).catch(() => undefined);
  try {
    return await Promise.race([promise, silence.then(() => undefined)]);
  } finally {
    waiting.abort();
  }
}
