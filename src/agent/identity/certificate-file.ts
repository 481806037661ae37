import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import { certificatesIn } from "../../rpc/public-key-digest.ts";
import { certificateRequest } from "./certificate-request.ts";
import { writeFileDurably } from "../../disk/durable-file.ts";

/** What an agent shows in TLS handshakes. Both in PEM. */
export interface ClientCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

/**
 * The certificate that the control plane gave the agent for its TLS connections, with its key: `tls.pem` in the data folder, mode 0600. The key is made on
 * this host, anew for each request, and replaces the one before together with its certificate.
 */
export class CertificateFile {
  readonly #path: string;
  #kept: ClientCertificate | undefined;
  #pending: KeyObject | undefined;

  private constructor(path: string, kept: ClientCertificate | undefined) {
    this.#path = path;
    this.#kept = kept;
  }

  /** Reads what is kept. One that cannot be understood is left out, with a warning: a control plane that needs it says so. */
  static async open(dataDir: string, logger: Logger): Promise<CertificateFile> {
    const path = join(dataDir, "tls.pem");
    try {
      return new CertificateFile(path, keptFrom(await readFile(path, "utf8")));
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) {
        // Without the cause: a parser may quote what it could not read, and that is a key.
        logger.warn({ path }, "the certificate for TLS connections cannot be used");
      }
      return new CertificateFile(path, undefined);
    }
  }

  /** What to show. Undefined: there is none. */
  get current(): ClientCertificate | undefined {
    return this.#kept;
  }

  /** The certificate to show, taken apart. */
  get details(): X509Certificate | undefined {
    return this.#kept && new X509Certificate(this.#kept.certificate);
  }

  /** A request (PKCS #10, DER) for another certificate, with a new key. An earlier one that was not answered is forgotten. */
  request(): Uint8Array {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#pending = privateKey;
    return certificateRequest(privateKey);
  }

  /**
   * Keeps the answer (DER) to the latest request; on the disk when it resolves. False, and nothing changes: it is not for the key that was
   * asked with. Rejects with STORAGE_UNAVAILABLE.
   */
  async accept(der: Uint8Array): Promise<boolean> {
    const pending = this.#pending;
    const certificate = decoded(der);
    if (pending === undefined || certificate?.checkPrivateKey(pending) !== true) return false;
    const kept = {
      certificate: certificate.toString(),
      privateKey: pending.export({ type: "pkcs8", format: "pem" }).toString(),
    };
    try {
      await writeFileDurably(this.#path, `${kept.privateKey}${kept.certificate}`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new FleetError("STORAGE_UNAVAILABLE", `the certificate ${this.#path} cannot be written: ${why}`, {
        cause: error,
      });
    }
    this.#kept = kept;
    if (this.#pending === pending) this.#pending = undefined;
    return true;
  }
}

function keptFrom(text: string): ClientCertificate {
  const key = createPrivateKey(text);
  const certificate = new X509Certificate(certificatesIn(text)[0] ?? "");
  if (!certificate.checkPrivateKey(key)) {
    throw new Error("the key and the certificate do not belong together");
  }
  return {
    certificate: certificate.toString(),
    privateKey: key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function decoded(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}
