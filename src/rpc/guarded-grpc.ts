import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { limitFirstMessage } from "./first-message.ts";
import { guardSession, http2Limits, type SessionGuard } from "./http2-guard.ts";

/**
 * Guards every session of a server of grpc-js, which hides them, and limits their headers and first messages. To be called once the server has its injector and before
 * it has connections. Throws when the library does not keep its servers where it did: without a guard nobody may listen.
 */
export function guardGrpcServer(server: Server, guard: SessionGuard): void {
  const servers: unknown = server["http2Servers"];
  if (!(servers instanceof Map) || servers.size === 0) {
    throw new TypeError("the gRPC server has nothing that can be guarded");
  }
  const { maxHeaderListSize } = http2Limits.settings;
  for (const http2 of servers.keys() as Iterable<Http2Server>) {
    http2.updateSettings({ maxHeaderListSize });
    http2.on("session", (session: ServerHttp2Session) => guardSession(session, guard));
    http2.on("stream", (stream: ServerHttp2Stream) => limitFirstMessage(stream));
  }
}
