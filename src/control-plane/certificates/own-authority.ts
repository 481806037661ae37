import { X509Certificate } from "node:crypto";
import { hostname, networkInterfaces } from "node:os";
import type { SecureContextOptions } from "node:tls";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { AuthorityFolder, type KeptAuthority, type Rotation } from "./authority-folder.ts";
import { CertificateAuthority } from "./certificate-authority.ts";
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

/** An authority that agents are to trust. */
export interface TrustedCertificate {
  /** Its own certificate, PEM. */
  readonly certificate: string;
  /** The same public key, signed by the authority before it. PEM. Undefined: there is none to prove it by. */
  readonly endorsement?: string | undefined;
}

// A certificate is renewed when half of its life is over: before two thirds, with time to spare.
const renewAfter = 0.5;
const lookAgainMs = 60 * 60_000;

/**
 * Serves with a certificate of the control plane's own authority, which is made at the first start and kept. The certificate is
 * renewed by itself, also while connections are open, and the authority can be replaced in three steps.
 */
export class OwnAuthority implements TlsIdentity {
  readonly #options: OwnAuthorityOptions;
  readonly #names: readonly string[];
  readonly #files: AuthorityFolder;
  readonly #tls = new ChangingTls({});
  readonly #timer: NodeJS.Timeout;
  #authority: CertificateAuthority;
  #rotation: Rotation;
  #renewAt = 0;
  #working: Promise<unknown> = Promise.resolve();

  /** For `open` alone. */
  private constructor(
    options: OwnAuthorityOptions,
    files: AuthorityFolder,
    authority: CertificateAuthority,
    rotation: Rotation,
  ) {
    this.#options = options;
    this.#files = files;
    this.#authority = authority;
    this.#rotation = rotation;
    this.#names = namesOf(options.advertise);
    this.#timer = setInterval(() => void this.#renew(), lookAgainMs);
    this.#timer.unref();
  }

  /** Rejects with STORAGE_UNAVAILABLE when the folder cannot be used. */
  static async open(options: OwnAuthorityOptions): Promise<OwnAuthority> {
    const files = new AuthorityFolder(options.folder);
    const kept = (await files.load()) ?? (await createFirst(files, options));
    const authority = await CertificateAuthority.from(kept.current, options.clock);
    const own = new OwnAuthority(options, files, authority, kept.rotation);
    await own.#issue();
    return own;
  }

  get authorityDigest(): string {
    return this.#authority.digest;
  }

  get authorityCertificate(): string {
    return this.#authority.certificate;
  }

  /** Issues a certificate for an agent, PEM; see `CertificateAuthority.issueAgent`. */
  issueAgent(request: Uint8Array, agentId: string): Promise<string> {
    return this.#authority.issueAgent(request, agentId);
  }

  /** How far its replacement is. */
  get rotation(): Rotation {
    return this.#rotation;
  }

  /** Whom agents are to trust now, in the order of their age: the last is the newest, which is in force or is to be. */
  get trusted(): readonly [TrustedCertificate, ...TrustedCertificate[]] {
    const certificate = this.authorityCertificate;
    const rotation = this.#rotation;
    switch (rotation.state) {
      case "steady":
        return [{ certificate }];
      case "prepared":
        return [
          { certificate },
          { certificate: rotation.successor.certificate, endorsement: rotation.endorsement },
        ];
      case "switched":
        return [{ certificate: rotation.previous }, { certificate, endorsement: rotation.endorsement }];
    }
  }

  current(): SecureContextOptions {
    return this.#tls.current();
  }

  onChange(listener: () => void): () => void {
    return this.#tls.onChange(listener);
  }

  /**
   * Makes a successor that this authority has signed. False: there is one already. Rejects with AUTHORITY_NOT_READY while the one before is still
   * shown, and with STORAGE_UNAVAILABLE.
   */
  prepare(): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.#rotation.state === "prepared") return false;
      if (this.#rotation.state === "switched") {
        throw notReady("the last rotation has not ended; end it with `fairlead authority retire` first");
      }
      const successor = await CertificateAuthority.create(this.#options.clock);
      const endorsement = `${await this.#authority.endorse(successor)}\n`;
      await this.#keep({ state: "prepared", successor: successor.keyed, endorsement });
      return true;
    });
  }

  /**
   * Puts the successor in force, and deletes the private key of the one before. False: it is in force already. Rejects with AUTHORITY_NOT_READY when
   * there is none, and with STORAGE_UNAVAILABLE.
   */
  switchOver(): Promise<boolean> {
    return this.#inTurn(async () => {
      const { rotation } = this;
      if (rotation.state === "switched") return false;
      if (rotation.state === "steady") {
        throw notReady("there is no successor; make one with `fairlead authority rotate` first");
      }
      const authority = await CertificateAuthority.from(rotation.successor, this.#options.clock);
      const { endorsement } = rotation;
      const next: Rotation = { state: "switched", previous: this.authorityCertificate, endorsement };
      await this.#files.keepRotation(next, rotation.successor);
      this.#authority = authority;
      this.#rotation = next;
      await this.#issue();
      return true;
    });
  }

  /** Forgets the one before. False: there is none. Rejects with AUTHORITY_NOT_READY before the switch, and with STORAGE_UNAVAILABLE. */
  retire(): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.#rotation.state === "steady") return false;
      if (this.#rotation.state === "prepared") {
        throw notReady(
          "the successor is not in force yet; put it there with `fairlead authority switch` first",
        );
      }
      await this.#keep({ state: "steady" });
      await this.#issue();
      return true;
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #keep(rotation: Rotation): Promise<void> {
    await this.#files.keepRotation(rotation);
    this.#rotation = rotation;
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => undefined);
    return await done;
  }

  async #issue(): Promise<void> {
    const { certificate, privateKey: key } = await this.#authority.issueServer(this.#names);
    const cert = this.#chain(certificate);
    this.#renewAt = renewalTime(cert);
    this.#tls.replace({ cert, key });
  }

  /** Who knows only the one before finds its signature, and, by the digest in an older registration token, that one itself. */
  #chain(issued: string): string {
    if (this.#rotation.state !== "switched") return issued;
    const { endorsement, previous } = this.#rotation;
    return `${new X509Certificate(issued).toString()}${endorsement}${previous}`;
  }

  async #renew(): Promise<void> {
    const { clock, logger } = this.#options;
    if (clock.now() < this.#renewAt) return;
    try {
      await this.#inTurn(() => this.#issue());
      logger.info({ names: this.#names }, "the TLS certificate was renewed");
    } catch (error) {
      logger.error({ err: error }, "the TLS certificate could not be renewed; it will be tried again");
    }
  }
}

async function createFirst(
  files: AuthorityFolder,
  { clock, folder, logger }: OwnAuthorityOptions,
): Promise<KeptAuthority> {
  const created = await CertificateAuthority.create(clock);
  await files.keepFirst(created.keyed);
  logger.info({ folder, digest: created.digest }, "a certificate authority was made for this control plane");
  return { current: created.keyed, rotation: { state: "steady" } };
}

function notReady(message: string): FleetError {
  return new FleetError("AUTHORITY_NOT_READY", message);
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
