import type { DescMethod } from "@bufbuild/protobuf";
import { constants } from "node:http2";
import type { HttpRequest } from "./http-port.ts";

/**
 * Ends a request of HTTP/2 whose body does not come to its end in time, unless it is a stream of messages. Those of
 * HTTP/1.1 are watched by its server.
 */
export function endLateBody({ methodKind }: DescMethod, request: HttpRequest, requestMs: number): void {
  const isStream = methodKind === "client_streaming" || methodKind === "bidi_streaming";
  if (isStream || !("stream" in request) || request.stream.endAfterHeaders) return;
  const { stream } = request;
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), requestMs).unref();
  const stop = () => clearTimeout(timer);
  stream.once("end", stop);
  stream.once("close", stop);
}
