import { hash, randomBytes, timingSafeEqual } from "node:crypto";

/** A new secret: 256 random bits, base64url. */
export function newKeySecret(): string {
  return randomBytes(32).toString("base64url");
}

/**
 * What is kept of a secret: its SHA-256. No salt and no slow hash are needed, because 256 random bits cannot be guessed.
 */
export function keySecretHash(secret: string): Uint8Array {
  return hash("sha256", secret, "buffer");
}

/** Whether a secret is the one of a hash. Takes the same time whatever part of it is right. */
export function isKeySecret(secret: string, expectedHash: Uint8Array): boolean {
  const presented = keySecretHash(secret);
  return presented.byteLength === expectedHash.byteLength && timingSafeEqual(presented, expectedHash);
}
