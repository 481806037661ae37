import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server, createSecureServer } from "node:http2";
import type { IncomingMessage, Server as Http1Server, ServerResponse } from "node:http";
import type {
  Http2SecureServer,
  Http2Server,
  Http2ServerRequest,
  Http2ServerResponse,
  ServerHttp2Session,
} from "node:http2";
import { Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { FairShare } from "../resilience/fair-share.ts";
import { addressSite } from "./address-site.ts";
import { guardSession, http2Limits, type SessionGuard } from "./http2-guard.ts";
import { sniffHttpVersion } from "./http-sniffer.ts";
import { OpenSet } from "./open-set.ts";
import { type TlsSource, tlsPolicy } from "./tls-source.ts";

export type HttpRequest = IncomingMessage | Http2ServerRequest;
/** Of HTTP/1.1. That of HTTP/2 is made to be used like it, but its type is not. */
export type HttpResponse = ServerResponse;

export interface HttpPortOptions {
  /** Port 0: the system chooses one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Answers a request of either version. Never throws. */
  readonly onRequest: (request: HttpRequest, response: HttpResponse) => void;
  /** Certificate and key: then the version is agreed on by ALPN. Without: plaintext, and the first bytes tell. */
  readonly tls?: TlsSource | undefined;
  /** What differs from the defaults of how long clients may take. */
  readonly patience?: Partial<HttpPatience> | undefined;
  /** How many connections may be open; of one address, no more than are still free. 20,000 by default. */
  readonly maxConnections?: number;
  /** A session of HTTP/2 was ended for what was sent on it. */
  readonly onCut?: SessionGuard["onCut"] | undefined;
}

/** How long clients may take, in milliseconds. */
export interface HttpPatience {
  /** To say on a fresh connection what they speak, and to shake hands where there is TLS. */
  readonly firstBytesMs: number;
  /** To send the head of a request. */
  readonly headMs: number;
  /** To send the whole of a request that is not a stream. */
  readonly requestMs: number;
  /** To take something of what waits for them. */
  readonly slowClientMs: number;
  /** Without a call. */
  readonly idleMs: number;
}

/** The defaults. */
export const defaultHttpPatience: HttpPatience = {
  firstBytesMs: 10_000,
  headMs: 10_000,
  requestMs: 120_000,
  slowClientMs: 120_000,
  idleMs: 300_000,
};

/** One port that speaks HTTP/1.1 and HTTP/2. */
export interface HttpPort {
  readonly address: { readonly host: string; readonly port: number };
  /** How many connections are open. */
  readonly connectionCount: number;
  /** Ends every connection at once. Resolves when the port is free and nothing is left. */
  close(): Promise<void>;
}

const socketOptions = {
  noDelay: true,
  // Finds out about peers that vanished without a word.
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
};

function http1Limits({ headMs, idleMs }: HttpPatience) {
  return {
    headersTimeout: headMs,
    // How long a whole request may take depends on what it is for: `endLateBody` sees to it.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(5_000, headMs),
    keepAliveTimeout: idleMs,
    maxHeaderSize: 16 * 1024,
  };
}

/** Opens a port. Rejects with the system's error when it cannot be listened on. */
export async function openHttpPort(options: HttpPortOptions): Promise<HttpPort> {
  const sockets = new OpenSet<Socket>();
  const sessions = new OpenSet<ServerHttp2Session>();
  const patience = { ...defaultHttpPatience, ...options.patience };
  const server =
    options.tls === undefined
      ? plaintextServer(options, patience, sessions)
      : tlsServer(options, options.tls, patience, sessions);
  const places = new FairShare(options.maxConnections ?? 20_000);
  server.prependListener("connection", (socket: Socket) => {
    sockets.add(socket);
    const leave = places.enter(addressSite(socket.remoteAddress ?? ""));
    if (leave === undefined) socket.destroy();
    else socket.once("close", leave);
    // Whoever owns the socket at that moment hears the error too; this is for when nobody does.
    socket.on("error", () => {});
  });
  const { host, port } = await listening(server, options.listen);
  let closed: Promise<void> | undefined;
  return {
    address: { host, port },
    get connectionCount() {
      return sockets.size;
    },
    async close() {
      closed ??= new Promise((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await Promise.all([closed, sockets.emptied(), sessions.emptied()]);
    },
  };
}

/** The HTTP/1.1 server owns the port, so that its timeouts work; the other one gets what speaks HTTP/2. */
function plaintextServer(
  { onRequest, onCut }: HttpPortOptions,
  patience: HttpPatience,
  sessions: OpenSet<ServerHttp2Session>,
): Http1Server {
  const http1 = createHttp1Server({ ...http1Limits(patience), ...socketOptions }, onRequest);
  const http2 = createHttp2Server(http2Limits, (request, response) => onRequest(request, sameUse(response)));
  trackSessions(http2, sessions, patience, onCut);
  endStalled(http1, patience);
  const serveHttp1 = http1.listeners("connection");
  http1.removeAllListeners("connection");
  http1.on("connection", (socket: Socket) => {
    if (socket.destroyed) return;
    sniffHttpVersion(socket, patience.firstBytesMs, (version) => {
      if (version === "http2") {
        // The HTTP/1.1 server leaves sockets half open; an HTTP/2 session whose peer ended has nobody to talk to.
        socket.allowHalfOpen = false;
        http2.emit("connection", socket);
      } else {
        for (const serve of serveHttp1) serve.call(http1, socket);
        socket.resume();
      }
    });
  });
  return http1;
}

function tlsServer(
  options: HttpPortOptions,
  tls: TlsSource,
  patience: HttpPatience,
  sessions: OpenSet<ServerHttp2Session>,
): Http2SecureServer {
  const { onRequest } = options;
  const server = createSecureServer(
    {
      ...socketOptions,
      ...http1Limits(patience),
      ...http2Limits,
      ...tlsPolicy,
      ...tls.current(),
      allowHTTP1: true,
      handshakeTimeout: patience.firstBytesMs,
      unknownProtocolTimeout: patience.firstBytesMs,
    },
    (request, response) => onRequest(request, sameUse(response)),
  );
  trackSessions(server, sessions, patience, options.onCut);
  endStalled(server, patience);
  const unfollow = tls.onChange(() => server.setSecureContext({ ...tlsPolicy, ...tls.current() }));
  server.once("close", unfollow);
  return server;
}

function sameUse(response: ServerResponse | Http2ServerResponse): HttpResponse {
  return response as HttpResponse;
}

function trackSessions(
  server: Http2Server | Http2SecureServer,
  sessions: OpenSet<ServerHttp2Session>,
  { firstBytesMs, idleMs }: HttpPatience,
  onCut: SessionGuard["onCut"] = () => undefined,
): void {
  server.on("session", (session) => {
    sessions.add(session);
    guardSession(session, { firstFrameMs: firstBytesMs, idleMs, onCut });
  });
}

/** Ends connections of HTTP/1.1 that are idle, and those whose client takes nothing of what waits for it. */
function endStalled(server: Http1Server | Http2SecureServer, { slowClientMs }: HttpPatience): void {
  const answering = new WeakMap<Socket, number>();
  const add = (socket: Socket, count: number) => answering.set(socket, (answering.get(socket) ?? 0) + count);
  server.on("request", ({ socket, httpVersionMajor }: HttpRequest, response: HttpResponse) => {
    if (httpVersionMajor > 1) return;
    add(socket, 1);
    response.once("close", () => add(socket, -1));
  });
  server.setTimeout(slowClientMs, (subject?: unknown) => {
    // Sessions of HTTP/2 have a guard of their own. One that waits for its answer may wait as long as it likes.
    if (!(subject instanceof Socket)) return;
    if (subject.writableLength > 0 || !answering.get(subject)) subject.destroy();
  });
}

async function listening(
  server: Http1Server | Http2SecureServer,
  listen: HttpPortOptions["listen"],
): Promise<{ host: string; port: number }> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(listen, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const { address, port } = server.address() as AddressInfo;
  return { host: address, port };
}
