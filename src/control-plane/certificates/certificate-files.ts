import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import { certificatesIn, publicKeyDigest } from "../../rpc/public-key-digest.ts";
import { ChangingTls, type TlsIdentity } from "./tls-identity.ts";

/** The operator's own certificate. */
export interface CertificateFiles {
  /** PEM: the server's certificate, then those that lead to its authority. */
  readonly certificate: string;
  /** PEM. */
  readonly privateKey: string;
}

// Certificate managers replace files at most every few days; who waits a few seconds for it waits for nothing.
const lookAgainMs = 10_000;

/**
 * Serves with the operator's own certificate, and takes up new files when they change. Files that do not fit together are
 * logged and left alone until they do. Rejects with INVALID_ARGUMENT when they cannot be used at the start.
 */
export async function openCertificateFiles(files: CertificateFiles, logger: Logger): Promise<TlsIdentity> {
  const first = await read(files).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new FleetError(
      "INVALID_ARGUMENT",
      `the TLS certificate ${files.certificate} cannot be used: ${why}`,
      { cause: error },
    );
  });
  const tls = new ChangingTls(first);
  let seen = await stamp(files);
  const look = async (): Promise<void> => {
    const now = await stamp(files);
    if (now === seen) return;
    seen = now;
    try {
      tls.replace(await read(files));
      logger.info({ certificate: files.certificate }, "the TLS certificate was replaced");
    } catch (error) {
      logger.error(
        { err: error, certificate: files.certificate },
        "the new TLS certificate cannot be used; the old one stays",
      );
    }
  };
  const timer = setInterval(() => void look(), lookAgainMs);
  timer.unref();
  const authority = lastOf(first.cert);
  return {
    authorityDigest: publicKeyDigest(authority).toString("base64url"),
    authorityCertificate: authority.toString(),
    current: () => tls.current(),
    onChange: (listener) => tls.onChange(listener),
    close: () => clearInterval(timer),
  };
}

async function read(files: CertificateFiles): Promise<{ cert: string; key: string }> {
  const [cert, key] = await Promise.all([
    readFile(files.certificate, "utf8"),
    readFile(files.privateKey, "utf8"),
  ]);
  // Throws when they do not decode or do not belong together.
  createSecureContext({ cert, key });
  return { cert, key };
}

async function stamp(files: CertificateFiles): Promise<string> {
  const times = [files.certificate, files.privateKey].map(async (path) => {
    const { mtimeMs, ino, size } = await stat(path).catch(() => ({ mtimeMs: 0, ino: 0, size: 0 }));
    return `${ino} ${mtimeMs} ${size}`;
  });
  return (await Promise.all(times)).join();
}

/** The certificate of a chain that is nearest to its authority. */
function lastOf(chain: string): X509Certificate {
  return new X509Certificate(certificatesIn(chain).at(-1) ?? chain);
}
