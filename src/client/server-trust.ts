import { X509Certificate } from "node:crypto";
import { checkServerIdentity, type ConnectionOptions, type DetailedPeerCertificate } from "node:tls";
import { certificatesIn, publicKeyDigest } from "../rpc/public-key-digest.ts";

/** How a connection decides whether it trusts its server. Empty: as this machine does. */
export type ServerTrust = Pick<ConnectionOptions, "ca" | "allowPartialTrustChain" | "checkServerIdentity">;

/** Trust in certain authorities (PEM), with somebody who is told when they are others. */
export interface TrustOptions {
  readonly ca?: string;
  readonly onSuccessor?: (ca: string) => void;
}

/** Trusts the certificates of `ca` and what they sign. `onSuccessor` is told at most once, of what `renewedTrust` says. */
export function trustFrom({ ca, onSuccessor }: TrustOptions): ServerTrust {
  if (ca === undefined) return {};
  // One that was signed by another is trusted for itself once it is among them: its signer may be gone by then.
  const trust = { ca, allowPartialTrustChain: true };
  if (onSuccessor === undefined) return trust;
  let told = false;
  return {
    ...trust,
    // Called only for a chain that has been verified, and not for a connection that resumes an earlier one.
    checkServerIdentity(host, certificate) {
      const failure = checkServerIdentity(host, certificate);
      if (failure !== undefined || told) return failure;
      const renewed = renewedTrust(ca, certificate as DetailedPeerCertificate);
      if (renewed !== undefined) {
        told = true;
        onSuccessor(renewed);
      }
      return undefined;
    },
  };
}

/**
 * The authorities to trust, PEM, after one has taken the place of another; undefined: the same. One that is not known is added when a known one has
 * signed it and it has signed the server's certificate; the one before is left out when the server shows its successor alone. The chain
 * is what the server said: nothing of it counts without its signature.
 */
function renewedTrust(ca: string, { raw, issuerCertificate }: DetailedPeerCertificate): string | undefined {
  if (issuerCertificate === undefined) return undefined;
  const [server, signer] = [new X509Certificate(raw), new X509Certificate(issuerCertificate.raw)];
  if (!hasSigned(signer, server)) return undefined;
  const known = certificatesIn(ca).map((pem) => new X509Certificate(pem));
  const itself = known.find((one) => publicKeyDigest(one).equals(publicKeyDigest(signer)));
  if (itself === undefined) {
    return known.some((one) => hasSigned(one, signer)) ? textOf([...known, signer]) : undefined;
  }
  if (hasSigned(itself, itself) || !hasSigned(signer, signer)) return undefined;
  return textOf([...known.filter((one) => one !== itself && !hasSigned(one, itself)), signer]);
}

function hasSigned(authority: X509Certificate, certificate: X509Certificate): boolean {
  return authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function textOf(certificates: readonly X509Certificate[]): string {
  return certificates.map((certificate) => certificate.toString()).join("");
}
