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
import type { AddressInfo, Socket } from "node:net";
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
  /** How long a fresh connection may take to say what it speaks. 10 s by default. */
  readonly firstBytesTimeoutMs?: number;
  /** How long a connection without a call is kept. 5 minutes by default. */
  readonly idleTimeoutMs?: number;
}

/** One port that speaks HTTP/1.1 and HTTP/2. */
export interface HttpPort {
  readonly address: { readonly host: string; readonly port: number };
  /** How many connections are open. */
  readonly connectionCount: number;
  /** Takes no new connection, asks the open ones for no more requests, and lets the running ones end. */
  stopAccepting(): void;
  /** Ends every connection at once. Resolves when the port is free and nothing is left. */
  close(): Promise<void>;
}

const requestLimits = {
  headersTimeout: 10_000,
  // For a whole request, not for its response: streams from the server live as long as they like.
  requestTimeout: 120_000,
  connectionsCheckingInterval: 5000,
  noDelay: true,
  // Finds out about peers that vanished without a word.
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
};
const maxConnections = 10_000;
// Without a limit of its own, HTTP/2 allows 4,294,967,295 streams a connection.
const sessionLimits = { settings: { maxConcurrentStreams: 1024 }, maxSessionMemory: 64 };

/** Opens a port. Rejects with the system's error when it cannot be listened on. */
export async function openHttpPort(options: HttpPortOptions): Promise<HttpPort> {
  const sockets = new OpenSet<Socket>();
  const sessions = new OpenSet<ServerHttp2Session>();
  const server =
    options.tls === undefined
      ? plaintextServer(options, sessions)
      : tlsServer(options, options.tls, sessions);
  server.maxConnections = maxConnections;
  server.prependListener("connection", (socket: Socket) => {
    sockets.add(socket);
    // Whoever owns the socket at that moment hears the error too; this is for when nobody does.
    socket.on("error", () => {});
  });
  const { host, port } = await listening(server, options.listen);
  let closed: Promise<void> | undefined;
  const stopAccepting = (): void => {
    closed ??= new Promise((resolve) => server.close(() => resolve()));
    for (const session of sessions) session.close();
  };
  return {
    address: { host, port },
    get connectionCount() {
      return sockets.size;
    },
    stopAccepting,
    async close() {
      stopAccepting();
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await Promise.all([closed, sockets.emptied(), sessions.emptied()]);
    },
  };
}

/** The HTTP/1.1 server owns the port, so that its timeouts work; the other one gets what speaks HTTP/2. */
function plaintextServer(options: HttpPortOptions, sessions: OpenSet<ServerHttp2Session>): Http1Server {
  const { onRequest, firstBytesTimeoutMs = 10_000, idleTimeoutMs = 300_000 } = options;
  const http1 = createHttp1Server({ ...requestLimits, keepAliveTimeout: idleTimeoutMs }, onRequest);
  const http2 = createHttp2Server(sessionLimits, (request, response) =>
    onRequest(request, sameUse(response)),
  );
  trackSessions(http2, sessions, idleTimeoutMs);
  const serveHttp1 = http1.listeners("connection");
  http1.removeAllListeners("connection");
  http1.on("connection", (socket: Socket) => {
    sniffHttpVersion(socket, firstBytesTimeoutMs, (version) => {
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
  sessions: OpenSet<ServerHttp2Session>,
): Http2SecureServer {
  const { onRequest, firstBytesTimeoutMs = 10_000, idleTimeoutMs = 300_000 } = options;
  const server = createSecureServer(
    {
      ...requestLimits,
      ...sessionLimits,
      ...tlsPolicy,
      ...tls.current(),
      allowHTTP1: true,
      handshakeTimeout: firstBytesTimeoutMs,
    },
    (request, response) => onRequest(request, sameUse(response)),
  );
  trackSessions(server, sessions, idleTimeoutMs);
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
  idleTimeoutMs: number,
): void {
  server.on("session", (session) => {
    sessions.add(session);
    let openStreams = 0;
    session.on("stream", (stream) => {
      openStreams += 1;
      stream.once("close", () => (openStreams -= 1));
    });
    session.setTimeout(idleTimeoutMs, () => {
      if (openStreams === 0) session.close();
    });
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
