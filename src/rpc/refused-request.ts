import { constants } from "node:http2";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import type { HttpRequest, HttpResponse } from "./http-port.ts";
import { responseSink } from "./response-sink.ts";

// What would be used to read the body that is not read.
const bodyHeaders = ["content-encoding", "content-length", "connect-content-encoding", "grpc-encoding"];

/**
 * The same request with the smallest body that its protocol takes in place of its own, so that a handler comes to the point of refusing
 * it without reading what a stranger sends.
 */
export function withoutBody(request: UniversalServerRequest): UniversalServerRequest {
  const header = new Headers(request.header);
  for (const name of bodyHeaders) header.delete(name);
  return { ...request, header, body: once(smallestBody(header.get("content-type") ?? "")) };
}

function smallestBody(contentType: string): Uint8Array {
  const message = /^application\/(\S+\+)?json\b/i.test(contentType) ? Buffer.from("{}") : Buffer.alloc(0);
  if (!/^application\/(grpc|connect\+)/i.test(contentType)) return message;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

async function* once(bytes: Uint8Array) {
  yield bytes;
}

// Enough for an honest client to read its answer while it still sends.
const lingerMs = 1_000;

/**
 * After the answer, whoever gives it, takes no more of the request's body than what is on its way: a second later it ends the stream of
 * HTTP/2, or the connection of HTTP/1.1, of a client that still sends.
 */
export function leaveUnread(request: HttpRequest, response: HttpResponse): void {
  // A reader that gives up in the middle closes the request, which then knows its socket no more.
  const { socket } = request;
  const stream = "stream" in request ? request.stream : undefined;
  const end = () => (stream === undefined ? socket.destroy() : stream.close(constants.NGHTTP2_NO_ERROR));
  responseSink(response).once("finish", () => {
    if (stream === undefined ? request.complete : stream.readableEnded || stream.closed) return;
    const timer = setTimeout(end, lingerMs).unref();
    const stop = () => {
      clearTimeout(timer);
      request.off("end", stop);
      (stream ?? socket).off("close", stop);
    };
    request.on("end", stop);
    (stream ?? socket).on("close", stop);
    if (stream === undefined) request.resume();
  });
}
