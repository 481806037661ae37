import type { Clock } from "../../resilience/clock.ts";

/** What heartbeats go by. */
interface HeartbeatTime {
  readonly clock: Clock;
  readonly everyMs: number;
}

/**
 * The same items, and `undefined` at once at the beginning and after each so many milliseconds without one, so that a caller and whatever
 * is between see that the stream lives. Leaving it leaves the source.
 */
export async function* withHeartbeats<Item>(
  source: AsyncIterable<Item>,
  time: HeartbeatTime,
): AsyncGenerator<Item | undefined, void> {
  const iterator = source[Symbol.asyncIterator]();
  const silence = new Silence(time);
  try {
    yield undefined;
    let next = iterator.next();
    for (;;) {
      const first = await silence.or(next);
      if (first === undefined) {
        yield undefined;
        continue;
      }
      if (first.done === true) return;
      yield first.value;
      next = iterator.next();
    }
  } finally {
    silence.end();
    await iterator.return?.();
  }
}

/** Notices that somebody has waited for too long, with one timer for however many waits there are. */
class Silence {
  readonly #time: HeartbeatTime;
  readonly #over = new AbortController();
  #waiting: { readonly sinceMs: number; readonly tell: () => void } | undefined;

  constructor(time: HeartbeatTime) {
    this.#time = time;
    void this.#watch();
  }

  /** Settles as the promise does, or resolves to undefined after the silence. One wait at a time. */
  async or<Value>(promise: Promise<Value>): Promise<Value | undefined> {
    const { promise: first, resolve, reject } = Promise.withResolvers<Value | undefined>();
    promise.then(resolve, reject);
    this.#waiting = { sinceMs: this.#time.clock.monotonic(), tell: () => resolve(undefined) };
    try {
      return await first;
    } finally {
      this.#waiting = undefined;
    }
  }

  /** Leaves no timer behind. */
  end(): void {
    this.#over.abort();
  }

  async #watch(): Promise<void> {
    const { clock, everyMs } = this.#time;
    let sleepMs = everyMs;
    while (!this.#over.signal.aborted) {
      await clock.sleep(sleepMs, this.#over.signal).catch(() => undefined);
      const leftMs =
        this.#waiting === undefined ? everyMs : this.#waiting.sinceMs + everyMs - clock.monotonic();
      if (leftMs <= 0) this.#waiting?.tell();
      sleepMs = leftMs <= 0 ? everyMs : leftMs;
    }
  }
}
