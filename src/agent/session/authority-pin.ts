import type { X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { FleetError } from "../../domain/errors.ts";
import type { ServerName } from "./server-name.ts";
import { isNoTls, speaksPlaintext } from "./tls-mismatch.ts";
import { publicKeyDigest } from "../../rpc/public-key-digest.ts";

/**
 * Fetches the certificate of the authority that a registration token names by its digest, from the control plane itself. What the
 * server shows proves nothing until its public key has that digest; a server that shows no such authority is refused with
 * UNTRUSTED_SERVER, and so is one that speaks no TLS; SESSION_LOST says that it could not be reached. Nothing of the agent is told.
 */
export async function fetchAuthority(
  server: ServerName,
  digest: string,
  signal: AbortSignal,
): Promise<string> {
  const chain = await shownChain(server, signal);
  const authority = chain.find((certificate) => digestOf(certificate) === digest);
  if (authority !== undefined) return authority.toString();
  throw new FleetError(
    "UNTRUSTED_SERVER",
    `${server.host}:${server.port} is not the control plane that the registration token was made by: none of its certificates has the digest in the token`,
    { metadata: { expected_digest: digest, shown_digests: chain.map(digestOf).join(",") } },
  );
}

/** The certificates that the server shows, its own first, verified by nobody. */
async function shownChain({ host, port }: ServerName, signal: AbortSignal): Promise<X509Certificate[]> {
  signal.throwIfAborted();
  // The chain is only looked at; the connection that is used afterwards verifies it against what was found.
  const socket = connect({
    host,
    port,
    servername: sniOf(host),
    rejectUnauthorized: false,
    ALPNProtocols: ["h2"],
  });
  const { promise, resolve, reject } = Promise.withResolvers<X509Certificate[]>();
  const onAbort = () => reject(signal.reason);
  socket.once("secureConnect", () => resolve(chainOf(socket)));
  socket.once("error", (error: Error) => reject(unreachable(host, port, error)));
  socket.once("close", () => reject(unreachable(host, port, new Error("the connection was closed"))));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
  }
}

function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = socket.getPeerX509Certificate();
  while (next !== undefined && !chain.some(({ fingerprint256 }) => fingerprint256 === next?.fingerprint256)) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

function digestOf(certificate: X509Certificate): string {
  return publicKeyDigest(certificate).toString("base64url");
}

// RFC 6066, section 3: a server name is never an address.
function sniOf(host: string): string {
  return /^[\d.]+$|:/.test(host) ? "" : host;
}

function unreachable(host: string, port: number, error: Error): FleetError {
  if (isNoTls(error)) return speaksPlaintext(`${host}:${port}`, error);
  return new FleetError("SESSION_LOST", `no TLS connection to ${host}:${port}: ${error.message}`, {
    cause: error,
  });
}
