import type { X509Certificate } from "node:crypto";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from "node:tls";
import { gather } from "./gather.ts";
import { OpenSet } from "./open-set.ts";
import { type TlsSource, tlsPolicy } from "./tls-source.ts";

/** Where a port listens and who takes its connections. */
export interface ConnectionPortOptions {
  /** Port 0: the system chooses one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Without: plaintext. */
  readonly tls?: TlsSource | undefined;
  /** The protocol that both sides must agree on where there is TLS, for example "h2". */
  readonly protocol: string;
  /** Whether peers are asked for a certificate. It is not verified, and not needed: who takes the connection looks at it. */
  readonly asksForCertificate?: boolean;
  /** How long the TLS handshake may take. */
  readonly handshakeTimeoutMs: number;
  /** How many connections may be open. */
  readonly maxConnections: number;
  /** Whether a connection from an address may be opened at all. Asked before a byte is read. */
  readonly admits?: (address: string) => boolean;
  /** Takes a connection that is ready for its protocol. */
  readonly onConnection: (socket: Socket) => void;
}

/** A port that hands its connections on. */
export interface ConnectionPort {
  readonly address: { readonly host: string; readonly port: number };
  readonly connectionCount: number;
  /** Cuts the connection from there, "address:port", if there is one. */
  disconnect(peer: string): void;
  /** The certificate that the peer there, "address:port", showed and has the private key of. Verified by nobody. */
  certificateOf(peer: string): X509Certificate | undefined;
  /** Takes no new connection. */
  stopAccepting(): void;
  /** Resolves as soon as no connection is open. */
  emptied(): Promise<void>;
  /** Ends every connection at once. Resolves when the port is free and nothing is left. */
  close(): Promise<void>;
}

// How many connections may wait to be taken while the process is busy: all agents of a fleet come back at once. The system may allow less
// (net.core.somaxconn), and Node's own 511 would have it reset hundreds of two thousand.
const backlog = 8_192;

/** Opens a port. Rejects with the system's error when it cannot be listened on. */
export async function openConnectionPort(options: ConnectionPortOptions): Promise<ConnectionPort> {
  const sockets = new OpenSet<Socket>();
  const certificates = new Map<string, X509Certificate>();
  const secure = options.tls === undefined ? undefined : withTls(options, options.tls, certificates);
  const { onConnection } = options;
  const handOn =
    secure === undefined ? onConnection : (socket: Socket) => void secure.emit("connection", socket);
  const server = createTcpServer({ noDelay: true, keepAlive: true }, gather(handOn));
  server.maxConnections = options.maxConnections;
  server.prependListener("connection", (socket: Socket) => {
    sockets.add(socket);
    // Whoever owns the socket at that moment hears the error too; this is for when nobody does.
    socket.on("error", () => undefined);
    if (options.admits?.(socket.remoteAddress ?? "") === false) socket.destroy();
  });
  const unfollow =
    options.tls === undefined || secure === undefined ? () => undefined : follow(secure, options.tls);
  const address = await listening(server, options.listen);
  let closed: Promise<void> | undefined;
  const stopAccepting = (): void => {
    closed ??= new Promise((resolve) => server.close(() => resolve()));
  };
  return {
    address,
    get connectionCount() {
      return sockets.size;
    },
    disconnect(peer) {
      for (const socket of sockets) {
        if (placeOf(socket) === peer) socket.destroy();
      }
    },
    certificateOf: (peer) => certificates.get(peer),
    stopAccepting,
    emptied: () => sockets.emptied(),
    async close() {
      unfollow();
      stopAccepting();
      for (const socket of sockets) socket.destroy();
      await Promise.all([closed, sockets.emptied()]);
    },
  };
}

function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}

function withTls(
  options: ConnectionPortOptions,
  tls: TlsSource,
  certificates: Map<string, X509Certificate>,
): TlsServer {
  const { protocol, handshakeTimeoutMs: handshakeTimeout, onConnection } = options;
  const requestCert = options.asksForCertificate === true;
  const server = createTlsServer(
    {
      ...tlsPolicy,
      ...tls.current(),
      ALPNProtocols: [protocol],
      handshakeTimeout,
      requestCert,
      // Who has none yet is to get one, and who has a wrong one is to be told so.
      rejectUnauthorized: false,
    },
    (socket) => {
      socket.on("error", () => undefined);
      if (requestCert) keepCertificate(socket, certificates);
      // A peer that agreed on nothing would speak something else.
      if (socket.alpnProtocol === protocol) onConnection(socket);
      else socket.destroy();
    },
  );
  // A peer that gave up, or speaks no TLS: its connection is over, and that is all there is to it.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}

function keepCertificate(socket: TLSSocket, certificates: Map<string, X509Certificate>): void {
  const certificate = socket.getPeerX509Certificate();
  const place = placeOf(socket);
  if (certificate === undefined || socket.destroyed) return;
  certificates.set(place, certificate);
  // A later connection may come from the same place before this one's end is told.
  socket.once("close", () => {
    if (certificates.get(place) === certificate) certificates.delete(place);
  });
}

function follow(server: TlsServer, tls: TlsSource): () => void {
  return tls.onChange(() => server.setSecureContext({ ...tlsPolicy, ...tls.current() }));
}

async function listening(
  server: Server,
  listen: ConnectionPortOptions["listen"],
): Promise<{ host: string; port: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ ...listen, backlog }, resolve);
  await promise;
  server.off("error", reject);
  const { address, port } = server.address() as AddressInfo;
  return { host: address, port };
}
