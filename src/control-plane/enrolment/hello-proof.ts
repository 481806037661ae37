import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { promisify } from "node:util";

const verifySignature = promisify(verify);

// "fairlead-hello-v1" and a zero byte, docs/protocol.md "Opening a session": keeps these signatures from being of use anywhere else.
const context = Buffer.from("fairlead-hello-v1\0", "latin1");

// SubjectPublicKeyInfo of Ed25519 up to the key itself, RFC 8410 section 4.
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

/**
 * Whether a hello was signed, for this challenge, by the holder of the private half of `publicKey` (32 raw bytes). A key
 * that is none counts as "no". Runs off the main thread.
 */
export async function provesKey(proof: {
  readonly publicKey: Uint8Array;
  readonly nonce: Uint8Array;
  readonly hello: Uint8Array;
  readonly signature: Uint8Array;
}): Promise<boolean> {
  const key = publicKeyFrom(proof.publicKey);
  if (key === undefined) return false;
  const signed = Buffer.concat([context, proof.nonce, proof.hello]);
  return verifySignature(null, signed, key, proof.signature);
}

function publicKeyFrom(raw: Uint8Array): KeyObject | undefined {
  if (raw.byteLength !== 32) return undefined;
  try {
    return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}
