import { createHash, type X509Certificate } from "node:crypto";

/** SHA-256 of a certificate's public key (SubjectPublicKeyInfo): what stays the same when others certify the same key. */
export function publicKeyDigest({ publicKey }: Pick<X509Certificate, "publicKey">): Buffer {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest();
}

/** The certificates in a PEM text, in their order, as texts. */
export function certificatesIn(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}
