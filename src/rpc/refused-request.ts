import { constants } from "node:http2";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import type { HttpRequest, HttpResponse } from "./http-port.ts";

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
 * After the answer, takes no more of the request's body than what is on its way: ends a stream of HTTP/2, and a connection of HTTP/1.1 whose
 * client does not stop within a second.
 */
export function leaveUnread(request: HttpRequest, response: HttpResponse): void {
  response.once("finish", () => {
    if ("stream" in request) {
      if (!request.complete) request.stream.close(constants.NGHTTP2_NO_ERROR);
    } else if (!request.complete) {
      const timer = setTimeout(() => request.socket.destroy(), lingerMs).unref();
      request.once("close", () => clearTimeout(timer));
      request.resume();
    }
  });
}
