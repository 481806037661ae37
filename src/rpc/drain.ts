import type { Interceptor } from "@connectrpc/connect";
import { FleetError } from "../domain/errors.ts";
import { linkSignal, untilAborted } from "../resilience/signals.ts";
import type { LinkedSignal } from "../resilience/signals.ts";

/** The word that a server takes no more work, and whoever wants to hear it. */
export class Drain {
  readonly #listeners = new Set<() => void>();
  #begun = false;

  get begun(): boolean {
    return this.#begun;
  }

  /** How many listen: streams that are open. */
  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** Tells all listeners, once. */
  begin(): void {
    this.#begun = true;
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  /** Calls the listener when the drain begins, or at once when it has. Returns how to take it off again. */
  onBegin(listener: () => void): () => void {
    if (this.#begun) {
      listener();
      return () => {};
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/**
 * While the server drains: new calls are refused and open streams end, both with `UNAVAILABLE` (`DRAINING`); calls
 * with one answer that are in flight are left to finish. The handler of a stream gets a signal that the drain aborts
 * too; a handler that does not heed it is left behind.
 */
export function createDrainInterceptor(drain: Drain): Interceptor {
  return (next) => async (request) => {
    if (drain.begun) throw draining();
    if (!request.stream) return next(request);
    const link = linkSignal(request.signal);
    const forget = drain.onBegin(() => link.abort(draining()));
    const release = () => {
      forget();
      link.release();
    };
    try {
      const response = await untilAborted(next({ ...request, signal: link.signal }), link.signal);
      return response.stream ? { ...response, message: endable(response.message, link, release) } : response;
    } catch (error) {
      release();
      throw error;
    }
  };
}

async function* endable<Item>(items: AsyncIterable<Item>, link: LinkedSignal, release: () => void) {
  const iterator = items[Symbol.asyncIterator]();
  try {
    for (;;) {
      const item = await untilAborted(iterator.next(), link.signal);
      if (item.done === true) return;
      yield item.value;
    }
  } finally {
    release();
    // Not awaited: it waits for a handler that may not heed its signal.
    iterator.return?.().catch(() => {});
  }
}

function draining(): FleetError {
  return new FleetError("DRAINING", "the control plane is shutting down; try again in a moment", {
    retryAfterMs: 1000,
  });
}
