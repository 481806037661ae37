import { isSignedBy } from "./ed25519.ts";

// "fairlead-key-v1" and a zero byte, docs/protocol.md "Another key".
const context = Buffer.from("fairlead-key-v1\0", "latin1");

/** Whether a new key was named, for this nonce, by the holder of the old one, and is in the hands of whoever named it. */
export async function provesNewKey(proof: {
  readonly oldKey: Uint8Array;
  readonly newKey: Uint8Array;
  readonly nonce: Uint8Array;
  readonly oldKeySignature: Uint8Array;
  readonly newKeySignature: Uint8Array;
}): Promise<boolean> {
  const signed = Buffer.concat([context, proof.nonce, proof.newKey]);
  const [byOld, byNew] = await Promise.all([
    isSignedBy(proof.oldKey, signed, proof.oldKeySignature),
    isSignedBy(proof.newKey, signed, proof.newKeySignature),
  ]);
  return byOld && byNew;
}
