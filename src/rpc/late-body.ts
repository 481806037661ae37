import type { DescMethod } from "@bufbuild/protobuf";
import { constants } from "node:http2";
import type { HttpRequest } from "./http-port.ts";

/**
 * Ends a request whose body does not come to its end in time, unless it is a stream of messages, which may come for as long as it likes: of HTTP/2 the
 * request alone, of HTTP/1.1 its connection. `method` is undefined for what is no RPC.
 */
export function endLateBody(method: DescMethod | undefined, request: HttpRequest, requestMs: number): void {
  if (method?.methodKind === "client_streaming" || method?.methodKind === "bidi_streaming") return;
  const end = endOf(request);
  if (end === undefined) return;
  const timer = setTimeout(end, requestMs).unref();
  const stop = () => clearTimeout(timer);
  const subject = "stream" in request ? request.stream : request;
  subject.once("end", stop);
  subject.once("close", stop);
}

// Undefined: all of it is there.
function endOf(request: HttpRequest): (() => void) | undefined {
  if ("stream" in request) {
    const { stream } = request;
    return stream.endAfterHeaders ? undefined : () => stream.close(constants.NGHTTP2_CANCEL);
  }
  if (request.complete) return undefined;
  // Read or not, it may have come to its end meanwhile.
  return () => {
    if (!request.complete) request.socket.destroy();
  };
}
