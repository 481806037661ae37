import { X509Certificate } from "node:crypto";
import { certificatesIn, publicKeyDigest } from "../../rpc/public-key-digest.ts";

/** An authority that somebody says is to be trusted. */
export interface ListedAuthority {
  /** Its own certificate, DER. */
  readonly certificate: Uint8Array;
  /** A certificate for the same public key by an authority that is trusted already, DER. Empty: none. */
  readonly endorsement: Uint8Array;
}

/**
 * Those of a list that deserve trust, in PEM: their public key is one of the known authorities' (PEM), or one of these has signed it. What does not
 * decode, is no authority, or is out of its time is left out, whoever signed it.
 */
export function provenAuthorities(
  known: string,
  listed: readonly ListedAuthority[],
  nowMs: number,
): string[] {
  const trusted = certificatesIn(known).map((pem) => new X509Certificate(pem));
  return listed.flatMap(({ certificate, endorsement }) => {
    const authority = decode(certificate);
    if (authority === undefined || !isAuthority(authority, nowMs)) return [];
    const proven =
      trusted.some((one) => hasSameKey(one, authority)) ||
      isEndorsed(authority, decode(endorsement), trusted, nowMs);
    return proven ? [authority.toString()] : [];
  });
}

function isEndorsed(
  authority: X509Certificate,
  endorsement: X509Certificate | undefined,
  trusted: readonly X509Certificate[],
  nowMs: number,
): boolean {
  if (endorsement === undefined || !hasSameKey(endorsement, authority)) return false;
  if (!canSign(endorsement, nowMs)) return false;
  return trusted.some(
    (one) => canSign(one, nowMs) && endorsement.checkIssued(one) && endorsement.verify(one.publicKey),
  );
}

function isAuthority(certificate: X509Certificate, nowMs: number): boolean {
  return canSign(certificate, nowMs) && certificate.verify(certificate.publicKey);
}

function canSign({ ca, validFromDate, validToDate }: X509Certificate, nowMs: number): boolean {
  return ca && validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime();
}

function hasSameKey(one: X509Certificate, other: X509Certificate): boolean {
  return publicKeyDigest(one).equals(publicKeyDigest(other));
}

function decode(der: Uint8Array): X509Certificate | undefined {
  if (der.byteLength === 0) return undefined;
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}
