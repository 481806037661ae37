import { createPublicKey, type KeyObject, sign } from "node:crypto";

const tags = { integer: 0x02, bitString: 0x03, sequence: 0x30, attributes: 0xa0 } as const;

// ecdsa-with-SHA256, RFC 5758 section 3.2, as a whole AlgorithmIdentifier.
const ecdsaWithSha256 = Buffer.from("300a06082a8648ce3d040302", "hex");

/**
 * A certificate request (PKCS #10, RFC 2986, in DER) for a P-256 key, signed by it. Its subject is empty: who an agent is, is not for it to say. Written
 * by hand because Node has nothing for it, and an agent is to stay small.
 */
export function certificateRequest(privateKey: KeyObject): Uint8Array {
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const version = element(tags.integer, Buffer.of(0));
  const info = element(
    tags.sequence,
    Buffer.concat([
      version,
      element(tags.sequence, Buffer.alloc(0)),
      publicKey,
      element(tags.attributes, Buffer.alloc(0)),
    ]),
  );
  // The first byte says how many bits of the last one do not count.
  const signature = element(tags.bitString, Buffer.concat([Buffer.of(0), sign("sha256", info, privateKey)]));
  return Uint8Array.from(element(tags.sequence, Buffer.concat([info, ecdsaWithSha256, signature])));
}

function element(tag: number, content: Buffer): Buffer {
  const { byteLength } = content;
  // A request for such a key is well below 64 KiB.
  const length =
    byteLength < 0x80
      ? [byteLength]
      : byteLength < 0x100
        ? [0x81, byteLength]
        : [0x82, byteLength >> 8, byteLength & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}
