import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

// Every Ed25519 SubjectPublicKeyInfo is this many bytes of frame around the 32 bytes of the key (RFC 8410).
const publicKeyFrameBytes = 12;

/** A key of the agent: Ed25519, made on its host. */
export class AgentKey {
  /** The private half, PKCS#8 in PEM, for the identity file alone. */
  readonly pem: string;
  /** The raw public half, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly #key: KeyObject;

  private constructor(pem: string) {
    this.pem = pem;
    this.#key = createPrivateKey(pem);
    if (this.#key.asymmetricKeyType !== "ed25519") throw new TypeError("the key is not an Ed25519 key");
    const framed = createPublicKey(this.#key).export({ type: "spki", format: "der" });
    this.publicKey = Uint8Array.from(framed.subarray(publicKeyFrameBytes));
  }

  /** A new one. */
  static generate(): AgentKey {
    const { privateKey } = generateKeyPairSync("ed25519");
    return new AgentKey(privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  }

  /** The one of an identity file. Throws when it is none. */
  static fromPem(pem: string): AgentKey {
    return new AgentKey(pem);
  }

  /** The signature over the bytes, 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array {
    return Uint8Array.from(sign(null, bytes, this.#key));
  }
}
