import { createSecureContext } from "node:tls";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";
import { FleetError } from "../../domain/errors.ts";
import { noCaDigest, parseRegistrationToken } from "../../domain/registration-token.ts";
import type { AgentConfig } from "../config.ts";
import type { CertificateFile, ClientCertificate } from "../identity/certificate-file.ts";
import type { TrustStore } from "../identity/trust-store.ts";
import { fetchAuthority } from "./authority-pin.ts";
import { serverNameFrom } from "./server-name.ts";

/**
 * How the next connection is secured: by the authorities that the agent trusts, and with its own certificate if it has one; at first contact by the one that its token names. Without any
 * it is plaintext, which is allowed to loopback addresses and where the operator has said so. Rejects with UNTRUSTED_SERVER when the server
 * is not the one of the token, and when there is nothing to trust.
 */
export async function channelCredentials(
  config: Pick<AgentConfig, "server" | "token" | "credentials" | "insecure">,
  { trust, certificate }: { readonly trust: TrustStore; readonly certificate: CertificateFile },
  signal: AbortSignal,
): Promise<ChannelCredentials> {
  if (config.credentials !== undefined) return config.credentials;
  if (config.insecure) return credentials.createInsecure();
  if (trust.authorities === undefined) await pin(config, trust, signal);
  if (trust.authorities !== undefined) return trusting(trust, trust.authorities, certificate.current);
  return credentials.createInsecure();
}

interface Secured {
  readonly authorities: string;
  readonly own: ClientCertificate | undefined;
  readonly credentials: ChannelCredentials;
}

// All connections of an agent have them in common until it trusts or shows something else: to read the certificates again took a sixth of a handshake.
const latest = new WeakMap<TrustStore, Secured>();

function trusting(
  trust: TrustStore,
  authorities: string,
  own: ClientCertificate | undefined,
): ChannelCredentials {
  const known = latest.get(trust);
  if (known !== undefined && known.authorities === authorities && known.own === own) return known.credentials;
  const context = createSecureContext({
    ca: authorities,
    // What a token named by its digest may be a certificate that another authority signed: it is trusted for itself.
    allowPartialTrustChain: true,
    minVersion: "TLSv1.2",
    ...(own && { cert: own.certificate, key: own.privateKey }),
  });
  const made = credentials.createFromSecureContext(context);
  latest.set(trust, { authorities, own, credentials: made });
  return made;
}

async function pin(
  { server, token }: Pick<AgentConfig, "server" | "token">,
  trust: TrustStore,
  signal: AbortSignal,
): Promise<void> {
  const digest = token === undefined ? noCaDigest : parseRegistrationToken(token)?.caDigest;
  // A malformed token is refused by the control plane like any other that is wrong; over plaintext it would be told to whoever listens.
  if (digest !== undefined && digest !== noCaDigest) {
    await trust.replace(await fetchAuthority(serverNameFrom(server), digest, signal));
    return;
  }
  if (isLoopback(serverNameFrom(server).host)) return;
  throw new FleetError(
    "UNTRUSTED_SERVER",
    `the agent knows no authority to trust ${server} by; enrol it with a registration token of a control plane that has TLS, or, behind something else that encrypts, start it with --insecure`,
  );
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
