import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Logger } from "pino";
import type { HttpResponse } from "./http-port.ts";

/**
 * Writes what a handler answers, as fast as the client reads. Resolves when all is handed over, or when the client
 * has gone; the handler then learns that nobody listens. Rejects when the handler fails outside of its protocol.
 */
export async function writeResponse(
  answer: UniversalServerResponse,
  response: HttpResponse,
  logger: Logger,
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
      if (!response.write(piece.value)) await writable(response);
      if (response.destroyed) return;
    }
    if (answer.trailer !== undefined) response.addTrailers(nodeHeaders(answer.trailer));
    response.end();
  } finally {
    // Not awaited: a handler that is still busy ends when it heeds its signal, which the lost client aborts.
    body?.return?.().catch(() => {});
  }
}

/** Waits until more can be written, or never will. */
async function writable(response: HttpResponse): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

function nodeHeaders(headers: Headers = new Headers()): Record<string, string | string[]> {
  const collected: Record<string, string | string[]> = Object.fromEntries(headers);
  const cookies = headers.getSetCookie();
  return cookies.length === 0 ? collected : { ...collected, "set-cookie": cookies };
}
