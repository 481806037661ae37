import { createHash, randomBytes } from "node:crypto";
import type { RegistrationToken } from "../../domain/registration-token.ts";

/** A new token with a random secret. */
export function newRegistrationToken(caDigest: string): RegistrationToken {
  return { caDigest, secret: randomBytes(32).toString("base64url") };
}

/**
 * What is kept of a secret: its SHA-256. No salt and no slow hash are needed, because 256 random bits cannot be
 * guessed; and looking the hash up in an index tells nothing about the secret.
 */
export function secretHash(secret: string): Uint8Array {
  return createHash("sha256").update(secret, "utf8").digest();
}
