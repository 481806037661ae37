import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Logger } from "pino";
import type { HttpResponse } from "./http-port.ts";
import { responseSink } from "./response-sink.ts";

/**
 * Writes what a handler answers, as fast as the client reads. Resolves when all is handed over, or when the client
 * has gone; the handler then learns that nobody listens. Rejects when the handler fails outside of its protocol.
 */
export async function writeResponse(
  answer: UniversalServerResponse,
  response: HttpResponse,
  { logger, slowClientMs }: { readonly logger: Logger; readonly slowClientMs: number },
): Promise<void> {
  const body = answer.body?.[Symbol.asyncIterator]();
  const onError = (error: Error) => logger.debug({ err: error }, "a client went away");
  response.on("error", onError);
  try {
    // The head goes after the first piece of the body, because until then a handler may still set headers.
    let piece = await body?.next();
    if (response.destroyed) return;
    response.writeHead(answer.status, nodeHeaders(answer.header));
    for (; piece !== undefined && piece.done !== true; piece = await body?.next()) {
      if (!response.write(piece.value)) await taken(response, "drain", slowClientMs);
      if (response.destroyed) return;
    }
    if (answer.trailer !== undefined) response.addTrailers(nodeHeaders(answer.trailer));
    response.end();
    await taken(response, "finish", slowClientMs);
  } finally {
    // Not awaited: a handler that is still busy ends when it heeds its signal, which the lost client aborts.
    body?.return?.().catch(() => {});
  }
}

/**
 * Waits until the client has taken what was written, or never will. One that does not take it in time is let go, because what waits for
 * it is memory.
 */
async function taken(response: HttpResponse, event: "drain" | "finish", slowClientMs: number): Promise<void> {
  const sink = responseSink(response);
  if (response.destroyed || sink.destroyed || (event === "finish" && sink.writableFinished)) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => response.destroy(), slowClientMs).unref();
  sink.on(event, resolve);
  sink.on("close", resolve);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    sink.off(event, resolve);
    sink.off("close", resolve);
  }
}

function nodeHeaders(headers: Headers = new Headers()): Record<string, string | string[]> {
  const collected: Record<string, string | string[]> = Object.fromEntries(headers);
  const cookies = headers.getSetCookie();
  return cookies.length === 0 ? collected : { ...collected, "set-cookie": cookies };
}
