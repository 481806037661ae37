// @peculiar/x509 finds its algorithms through tsyringe, which needs this before anything else.
import "reflect-metadata";
import { createHash, createPublicKey, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  type Extension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  Pkcs10CertificateRequest,
  type PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";

cryptoProvider.set(webcrypto);

/** A certificate with its private key, both in PEM. */
export interface KeyedCertificate {
  /** The certificate, and those that lead to its authority where there are any. */
  readonly certificate: string;
  /** PKCS #8. */
  readonly privateKey: string;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 24 * 60 * 60_000;

/** How long an authority lives. */
export const authorityLifetimeMs = 3_650 * dayMs;

/** How long a server's certificate lives. */
export const serverLifetimeMs = 90 * dayMs;

/** How long an agent's certificate lives. */
export const agentLifetimeMs = 30 * dayMs;

// A peer whose clock is a little behind must not find a new certificate not valid yet.
const backdatedMs = 60 * 60_000;

/**
 * The certificate authority of one control plane. It signs the control plane's own certificates and nothing else that a
 * client would take for a server; agents trust it alone, by the digest that their registration token carries.
 */
export class CertificateAuthority {
  readonly #certificate: X509Certificate;
  readonly #key: webcrypto.CryptoKey;
  readonly #keyed: KeyedCertificate;
  readonly #clock: Clock;

  private constructor(
    certificate: X509Certificate,
    key: webcrypto.CryptoKey,
    keyed: KeyedCertificate,
    clock: Clock,
  ) {
    this.#certificate = certificate;
    this.#key = key;
    this.#keyed = keyed;
    this.#clock = clock;
  }

  /** Makes a new one, valid for ten years. */
  static async create(clock: Clock): Promise<CertificateAuthority> {
    const keys = await newKeys();
    const name = `CN=Fairlead CA ${randomBytes(4).toString("hex")}`;
    const certificate = await X509CertificateGenerator.createSelfSigned({
      ...validity(clock, authorityLifetimeMs),
      serialNumber: serialNumber(),
      name,
      keys,
      signingAlgorithm: algorithm,
      extensions: await authorityExtensions(keys.publicKey),
    });
    const keyed = {
      certificate: `${certificate.toString("pem")}\n`,
      privateKey: await privatePem(keys.privateKey),
    };
    return new CertificateAuthority(certificate, keys.privateKey, keyed, clock);
  }

  /** Takes one up again that `keyed` told of. Rejects when it does not decode. */
  static async from(keyed: KeyedCertificate, clock: Clock): Promise<CertificateAuthority> {
    const pkcs8 = PemConverter.decodeFirst(keyed.privateKey);
    const key = await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]);
    return new CertificateAuthority(new X509Certificate(keyed.certificate), key, keyed, clock);
  }

  /** The authority with its private key, for keeping. */
  get keyed(): KeyedCertificate {
    return this.#keyed;
  }

  /** The certificate in PEM, for those who are to trust it. */
  get certificate(): string {
    return this.#keyed.certificate;
  }

  /** What registration tokens carry: SHA-256 of the public key (SubjectPublicKeyInfo), in base64url. */
  get digest(): string {
    return publicKeyDigest(this.#certificate);
  }

  /** Issues a certificate for a server under these names and addresses, valid for 90 days. */
  async issueServer(names: readonly string[]): Promise<KeyedCertificate> {
    const keys = await newKeys();
    const leaf = await X509CertificateGenerator.create({
      ...validity(this.#clock, serverLifetimeMs),
      serialNumber: serialNumber(),
      subject: "CN=Fairlead control plane",
      issuer: this.#certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.#key,
      signingAlgorithm: algorithm,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(
          names.map((name) => ({ type: isIP(name) === 0 ? ("dns" as const) : ("ip" as const), value: name })),
        ),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
        await AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
      ],
    });
    const chain = `${leaf.toString("pem")}\n${this.certificate}`;
    return { certificate: chain, privateKey: await privatePem(keys.privateKey) };
  }

  /**
   * Issues a certificate for an agent's TLS connections, valid for 30 days, for the key of a request (PKCS #10, DER), whose subject does not count. Rejects
   * with INVALID_ARGUMENT for a request that does not decode, is not signed by its own key, or is for a key of another kind.
   */
  async issueAgent(request: Uint8Array, agentId: string): Promise<string> {
    const publicKey = await requestedKey(request);
    const leaf = await X509CertificateGenerator.create({
      ...validity(this.#clock, agentLifetimeMs),
      serialNumber: serialNumber(),
      subject: [{ CN: [agentId] }],
      issuer: this.#certificate.subject,
      publicKey,
      signingKey: this.#key,
      signingAlgorithm: algorithm,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
        await SubjectKeyIdentifierExtension.create(publicKey),
        await AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
      ],
    });
    return `${leaf.toString("pem")}\n`;
  }

  /** A successor's certificate, signed by this authority: whoever trusts this one may then trust the successor. */
  async endorse(successor: CertificateAuthority): Promise<string> {
    const certificate = await X509CertificateGenerator.create({
      ...validity(this.#clock, authorityLifetimeMs),
      serialNumber: serialNumber(),
      subject: successor.#certificate.subject,
      issuer: this.#certificate.subject,
      publicKey: successor.#certificate.publicKey,
      signingKey: this.#key,
      signingAlgorithm: algorithm,
      extensions: [
        ...(await authorityExtensions(successor.#certificate.publicKey)),
        await AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
      ],
    });
    return certificate.toString("pem");
  }
}

/** SHA-256 of a certificate's public key, in base64url. */
export function publicKeyDigest(certificate: X509Certificate): string {
  return createHash("sha256").update(Buffer.from(certificate.publicKey.rawData)).digest("base64url");
}

async function requestedKey(request: Uint8Array): Promise<PublicKey> {
  try {
    const decoded = new Pkcs10CertificateRequest(Buffer.from(request));
    const { publicKey } = decoded;
    const key = createPublicKey({ key: Buffer.from(publicKey.rawData), format: "der", type: "spki" });
    const isRight = key.asymmetricKeyDetails?.namedCurve === "prime256v1";
    if (isRight && (await decoded.verify())) return publicKey;
  } catch (error) {
    throw refusedRequest(error);
  }
  throw refusedRequest();
}

function refusedRequest(cause?: unknown): FleetError {
  return new FleetError(
    "INVALID_ARGUMENT",
    "a certificate request has to be PKCS #10 for a P-256 key, signed by that key",
    { cause },
  );
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function authorityExtensions(
  publicKey: Parameters<typeof SubjectKeyIdentifierExtension.create>[0],
): Promise<Extension[]> {
  return [
    // A path of one lets it endorse a successor, and nobody build an authority upon that.
    new BasicConstraintsExtension(true, 1, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    await SubjectKeyIdentifierExtension.create(publicKey),
  ];
}

function validity(clock: Clock, lifetimeMs: number): { notBefore: Date; notAfter: Date } {
  const now = clock.now();
  return { notBefore: new Date(now - backdatedMs), notAfter: new Date(now + lifetimeMs) };
}

// RFC 5280, section 4.1.2.2: positive, at most 20 octets, hard to guess.
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return bytes.toString("hex");
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}
