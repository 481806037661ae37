import type { StreamRequest, StreamResponse, UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import { linkSignal, untilAborted } from "../resilience/signals.ts";
import type { LinkedSignal } from "../resilience/signals.ts";

type Next = (request: UnaryRequest | StreamRequest) => Promise<UnaryResponse | StreamResponse>;

/**
 * Answers a streaming call until it ends by itself or `subscribe`'s listener is called; then the call ends with the error that
 * the listener was given. The handler gets a signal that is aborted too; a handler that does not heed it is left
 * behind. What `subscribe` returns is called at the end, whichever it is.
 */
export async function answerUntil(
  request: StreamRequest,
  next: Next,
  subscribe: (end: (reason: Error) => void) => (() => void) | undefined,
): Promise<UnaryResponse | StreamResponse> {
  const link = linkSignal(request.signal);
  const unsubscribe = subscribe((reason) => link.abort(reason));
  const release = () => {
    unsubscribe?.();
    link.release();
  };
  try {
    const response = await untilAborted(next({ ...request, signal: link.signal }), link.signal);
    return response.stream ? { ...response, message: endable(response.message, link, release) } : response;
  } catch (error) {
    release();
    throw error;
  }
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
