// @peculiar/x509 needs this before anything else.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** A certificate that says the same as another one, in the name of the same issuer, and that somebody else has signed. */
export async function forgeryOf(certificate: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const { privateKey } = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const { subject, issuer, publicKey, extensions, notBefore, notAfter } = new x509.X509Certificate(
    Buffer.from(certificate),
  );
  const forged = await x509.X509CertificateGenerator.create({
    subject,
    issuer,
    publicKey,
    extensions,
    notBefore,
    notAfter,
    signingKey: privateKey,
    signingAlgorithm: algorithm,
  });
  return new Uint8Array(forged.rawData);
}
