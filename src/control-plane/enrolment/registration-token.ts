import { createHash, randomBytes } from "node:crypto";

/** A registration token, taken apart. */
export interface RegistrationToken {
  /** Digest of the CA that the agent is to trust, base64url of SHA-256; "none" while the listener has no TLS. */
  readonly caDigest: string;
  /** 256 random bits, base64url. */
  readonly secret: string;
}

const form = /^fl1\.(none|[A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/;

/** A new token with a random secret. */
export function newRegistrationToken(caDigest: string): RegistrationToken {
  return { caDigest, secret: randomBytes(32).toString("base64url") };
}

/** As people and agents hand it on: "fl1.<CA digest>.<secret>". */
export function registrationTokenText(token: RegistrationToken): string {
  return `fl1.${token.caDigest}.${token.secret}`;
}

/** Takes a token apart. Undefined: it is malformed. */
export function parseRegistrationToken(text: string): RegistrationToken | undefined {
  const [, caDigest, secret] = form.exec(text.trim()) ?? [];
  return caDigest === undefined || secret === undefined ? undefined : { caDigest, secret };
}

/**
 * What is kept of a secret: its SHA-256. No salt and no slow hash are needed, because 256 random bits cannot be
 * guessed; and looking the hash up in an index tells nothing about the secret.
 */
export function secretHash(secret: string): Uint8Array {
  return createHash("sha256").update(secret, "utf8").digest();
}
