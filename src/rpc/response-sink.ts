import type { Writable } from "node:stream";
import type { HttpResponse } from "./http-port.ts";

/**
 * What a response is written to, to learn that all of it was taken: a response of HTTP/2 says "finish" only when its stream is closed, which
 * waits for the end of the request, too.
 */
export function responseSink(response: HttpResponse): Writable {
  const { stream } = response as { readonly stream?: Writable };
  return stream ?? response;
}
