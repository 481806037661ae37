import { isSignedBy } from "./ed25519.ts";

// "fairlead-hello-v1" and a zero byte, docs/protocol.md "Opening a session": keeps these signatures from being of use anywhere else.
const context = Buffer.from("fairlead-hello-v1\0", "latin1");

/**
 * Whether a hello was signed, for this challenge, by the holder of the private half of `publicKey` (32 raw bytes). A key
 * that is none counts as "no". Runs off the main thread.
 */
export function provesKey(proof: {
  readonly publicKey: Uint8Array;
  readonly nonce: Uint8Array;
  readonly hello: Uint8Array;
  readonly signature: Uint8Array;
}): Promise<boolean> {
  return isSignedBy(proof.publicKey, Buffer.concat([context, proof.nonce, proof.hello]), proof.signature);
}
