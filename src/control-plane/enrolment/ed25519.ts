import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { promisify } from "node:util";

const verifySignature = promisify(verify);

// SubjectPublicKeyInfo of Ed25519 up to the key itself, RFC 8410 section 4.
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

/**
 * Whether the bytes were signed by the holder of the private half of `publicKey` (32 raw bytes). A key that is none counts as
 * "no". Runs off the main thread.
 */
export async function isSignedBy(
  publicKey: Uint8Array,
  bytes: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const key = publicKeyFrom(publicKey);
  return key !== undefined && (await verifySignature(null, bytes, key, signature));
}

function publicKeyFrom(raw: Uint8Array): KeyObject | undefined {
  if (raw.byteLength !== 32) return undefined;
  try {
    return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}
