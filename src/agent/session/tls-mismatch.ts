import { connect } from "node:tls";
import { FleetError, type Reason } from "../../domain/errors.ts";
import { serverNameFrom } from "./server-name.ts";

const unreached: ReadonlySet<Reason> = new Set(["SERVER_UNREACHABLE", "SESSION_LOST"]);
// What OpenSSL says of bytes that are no TLS.
const noTls = /wrong version number|packet length too long|wrong_version_number|packet_length_too_long/i;
const probeMs = 3_000;

/** How a connection was tried that came to nothing. */
export interface FailedConnection {
  readonly server: string;
  readonly plaintext: boolean;
}

/**
 * Says it plainly where a connection came to nothing because only one side speaks TLS: UNTRUSTED_SERVER, which trying again does not mend.
 * Any other error is given back as it is. Nothing of the agent is told to the server.
 */
export async function explained(
  error: FleetError,
  { server, plaintext }: FailedConnection,
  signal: AbortSignal,
): Promise<FleetError> {
  if (!unreached.has(error.reason) || signal.aborted) return error;
  if (!plaintext) return noTls.test(error.message) ? speaksPlaintext(server, error) : error;
  if (!(await speaksTls(server))) return error;
  return new FleetError(
    "UNTRUSTED_SERVER",
    `${server} speaks TLS, and this agent was given no authority to trust it by: its token has no digest, or it was started with --insecure; enrol it with a new token of the control plane as it runs now`,
    { cause: error },
  );
}

/** The error for a server that answers a TLS handshake with something else. */
export function speaksPlaintext(server: string, cause: unknown): FleetError {
  return new FleetError(
    "UNTRUSTED_SERVER",
    `${server} does not speak TLS, which this agent's token or authority asks for; start the control plane with TLS, or check that --server is its port for agents`,
    { cause },
  );
}

/** Whether an error of a TLS connection says that the other side does not speak it. */
export function isNoTls(error: Error): boolean {
  return noTls.test(error.message) || ("code" in error && noTls.test(String(error.code)));
}

async function speaksTls(server: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  // Only whether there is a handshake is of interest; the connection is used for nothing.
  const socket = connect({ ...serverNameFrom(server), rejectUnauthorized: false, ALPNProtocols: ["h2"] });
  socket.setTimeout(probeMs, () => resolve(false));
  socket.once("secureConnect", () => resolve(true));
  socket.once("error", () => resolve(false));
  socket.once("close", () => resolve(false));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}
