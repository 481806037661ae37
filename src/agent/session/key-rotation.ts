import type { AgentKey } from "../identity/agent-key.ts";
import type { IdentityFile } from "../identity/identity-file.ts";

/** What proves a new key, as it goes over the wire. */
export interface NewKeyProof {
  readonly publicKey: Uint8Array;
  readonly oldKeySignature: Uint8Array;
  readonly newKeySignature: Uint8Array;
}

// Keeps these signatures from being of use anywhere else, docs/protocol.md "Another key".
const signedPrefix = new TextEncoder().encode("fairlead-key-v1\0");

/**
 * Makes the agent's next key, or takes the one that was offered before, and proves it for the nonce: by the key that this session was opened
 * with, and by itself. The new key is on the disk when it resolves. Rejects with `STORAGE_UNAVAILABLE`.
 */
export async function proveNewKey(identity: IdentityFile, nonce: Uint8Array): Promise<NewKeyProof> {
  const next: AgentKey = await identity.nextKey();
  const signed = Buffer.concat([signedPrefix, nonce, next.publicKey]);
  return {
    publicKey: next.publicKey,
    oldKeySignature: identity.key.sign(signed),
    newKeySignature: next.sign(signed),
  };
}
