import type { Interceptor } from "@connectrpc/connect";
import { FleetError } from "../domain/errors.ts";
import { answerUntil } from "./endable-stream.ts";

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
    return request.stream
      ? answerUntil(request, next, (end) => drain.onBegin(() => end(draining())))
      : next(request);
  };
}

function draining(): FleetError {
  return new FleetError("DRAINING", "the control plane is shutting down; try again in a moment", {
    retryAfterMs: 1000,
  });
}
