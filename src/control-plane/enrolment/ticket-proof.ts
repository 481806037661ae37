import { isSignedBy } from "./ed25519.ts";

// "fairlead-data-v1" and a zero byte, docs/protocol.md "Data streams": keeps these signatures from being of use anywhere else.
const context = Buffer.from("fairlead-data-v1\0", "latin1");

/** Whether a ticket is shown by the holder of the private half of `publicKey` (32 raw bytes). Runs off the main thread. */
export function provesTicket(proof: {
  readonly publicKey: Uint8Array;
  readonly ticket: Uint8Array;
  readonly signature: Uint8Array;
}): Promise<boolean> {
  return isSignedBy(proof.publicKey, Buffer.concat([context, proof.ticket]), proof.signature);
}
