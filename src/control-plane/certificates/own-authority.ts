import { X509Certificate } from "node:crypto";
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { CertificateAuthority, type KeyedCertificate } from "./certificate-authority.ts";
import { ChangingTls, type TlsIdentity } from "./tls-identity.ts";

/** Where the authority is kept, and for which names it certifies the control plane. */
export interface OwnAuthorityOptions {
  /** Folder for its files; made with mode 0700 when it is missing. */
  readonly folder: string;
  /** Names and addresses under which agents and callers know the control plane, besides those that the machine knows of itself. */
  readonly advertise: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
}

// A certificate is renewed when half of its life is over: before two thirds, with time to spare.
const renewAfter = 0.5;
const lookAgainMs = 60 * 60_000;

/**
 * Serves with a certificate of the control plane's own authority, which is made at the first start and kept. The certificate is
 * renewed by itself, also while connections are open. Rejects with STORAGE_UNAVAILABLE when the folder cannot be used.
 */
export async function openOwnAuthority(options: OwnAuthorityOptions): Promise<TlsIdentity> {
  const { clock, logger } = options;
  const authority = await loadOrCreate(options);
  const names = namesOf(options.advertise);
  const issue = async (): Promise<{ cert: string; key: string }> => {
    const { certificate, privateKey } = await authority.issueServer(names);
    return { cert: certificate, key: privateKey };
  };
  const first = await issue();
  const tls = new ChangingTls(first);
  let renewAt = renewalTime(first.cert);
  const renew = async (): Promise<void> => {
    if (clock.now() < renewAt) return;
    try {
      const next = await issue();
      renewAt = renewalTime(next.cert);
      tls.replace(next);
      logger.info({ names }, "the TLS certificate was renewed");
    } catch (error) {
      logger.error({ err: error }, "the TLS certificate could not be renewed; it will be tried again");
    }
  };
  const timer = setInterval(() => void renew(), lookAgainMs);
  timer.unref();
  return {
    authorityDigest: authority.digest,
    authorityCertificate: authority.certificate,
    current: () => tls.current(),
    onChange: (listener) => tls.onChange(listener),
    close: () => clearInterval(timer),
  };
}

async function loadOrCreate({ folder, clock, logger }: OwnAuthorityOptions): Promise<CertificateAuthority> {
  const paths = { certificate: join(folder, "ca.crt"), privateKey: join(folder, "ca.key") };
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const kept = await readBoth(paths);
    if (kept !== undefined) return await CertificateAuthority.from(kept, clock);
    const created = await CertificateAuthority.create(clock);
    // The key first: a certificate without its key would be taken for a loss.
    await writeDurably(paths.privateKey, created.keyed.privateKey, 0o600);
    await writeDurably(paths.certificate, created.certificate, 0o644);
    logger.info(
      { ca: paths.certificate, digest: created.digest },
      "a certificate authority was made for this control plane",
    );
    return created;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new FleetError(
      "STORAGE_UNAVAILABLE",
      `the certificate authority in ${folder} cannot be used: ${why}`,
      { cause: error },
    );
  }
}

async function readBoth(paths: KeyedCertificate): Promise<KeyedCertificate | undefined> {
  const certificate = await readIfThere(paths.certificate);
  const privateKey = await readIfThere(paths.privateKey);
  if (certificate === undefined) return undefined;
  if (privateKey === undefined) {
    throw new Error(
      `${paths.privateKey} is missing; restore it from a backup, or delete ${paths.certificate} and enrol every agent again`,
    );
  }
  return { certificate, privateKey };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function writeDurably(path: string, content: string, mode: number): Promise<void> {
  const temporary = `${path}.new`;
  await writeFile(temporary, content, { mode, flush: true });
  await chmod(temporary, mode);
  await rename(temporary, path);
}

/** Every name and address by which this machine may be reached. */
function namesOf(advertise: readonly string[]): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address }) => address),
  );
  // A link-local address of IPv6 is of use only with its interface, which a certificate cannot name.
  const usable = addresses.filter((address) => !address.toLowerCase().startsWith("fe80:"));
  return [...new Set(["localhost", hostname(), "127.0.0.1", "::1", ...usable, ...advertise])];
}

function renewalTime(chain: string): number {
  const { validFromDate, validToDate } = new X509Certificate(chain);
  return validFromDate.getTime() + (validToDate.getTime() - validFromDate.getTime()) * renewAfter;
}
