import { chmod, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FleetError } from "../../domain/errors.ts";
import type { KeyedCertificate } from "./certificate-authority.ts";

/** How far the replacement of an authority is, with what must be kept of it. */
export type Rotation =
  | { readonly state: "steady" }
  | {
      readonly state: "prepared";
      readonly successor: KeyedCertificate;
      /** The successor's certificate, signed by the authority in force. PEM. */
      readonly endorsement: string;
    }
  | {
      readonly state: "switched";
      /** The certificate of the one before, PEM. Its private key is gone. */
      readonly previous: string;
      /** The certificate of the one in force, signed by the one before. PEM. */
      readonly endorsement: string;
    };

/** An authority, and what is to become of it. */
export interface KeptAuthority {
  readonly current: KeyedCertificate;
  readonly rotation: Rotation;
}

// A switch that was written down and may not have reached the authority's own files yet.
type StoredRotation = Rotation & { readonly current?: KeyedCertificate };

/**
 * The files of an authority: `ca.crt` and `ca.key`, and `rotation.json` while it is being replaced. Each change takes effect with one rename, so
 * that a crash leaves the state before it or the one after. All methods reject with STORAGE_UNAVAILABLE when the folder cannot be used.
 */
export class AuthorityFolder {
  readonly #folder: string;
  readonly #certificate: string;
  readonly #privateKey: string;
  readonly #rotation: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#certificate = join(folder, "ca.crt");
    this.#privateKey = join(folder, "ca.key");
    this.#rotation = join(folder, "rotation.json");
  }

  /** What is kept. Undefined: nothing yet, and the folder is there. */
  load(): Promise<KeptAuthority | undefined> {
    return this.#usable(async () => {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const stored = await this.#storedRotation();
      if (stored.current !== undefined) await this.#finishSwitch(stored.current, stored);
      const current = await this.#readBoth();
      const { current: _, ...rotation } = stored;
      return current === undefined ? undefined : { current, rotation };
    });
  }

  /** Keeps the first authority. */
  keepFirst(current: KeyedCertificate): Promise<void> {
    return this.#usable(() => this.#writeBoth(current));
  }

  /** Keeps how far the replacement is. With another authority in force from now on, also that one. */
  keepRotation(rotation: Rotation, current?: KeyedCertificate): Promise<void> {
    return this.#usable(async () => {
      if (rotation.state === "steady") {
        await rm(this.#rotation, { force: true });
        await this.#sync();
        return;
      }
      await this.#write(
        this.#rotation,
        JSON.stringify({ ...rotation, ...(current && { current }) }, undefined, 2),
        0o600,
      );
      if (current !== undefined) await this.#finishSwitch(current, rotation);
    });
  }

  async #finishSwitch(current: KeyedCertificate, stored: StoredRotation): Promise<void> {
    await this.#writeBoth(current);
    const { current: _, ...rotation } = stored;
    await this.#write(this.#rotation, JSON.stringify(rotation, undefined, 2), 0o600);
  }

  async #storedRotation(): Promise<StoredRotation> {
    const text = await readIfThere(this.#rotation);
    return text === undefined ? { state: "steady" } : (JSON.parse(text) as StoredRotation);
  }

  async #readBoth(): Promise<KeyedCertificate | undefined> {
    const certificate = await readIfThere(this.#certificate);
    const privateKey = await readIfThere(this.#privateKey);
    if (certificate === undefined) return undefined;
    if (privateKey === undefined) {
      throw new Error(
        `${this.#privateKey} is missing; restore it from a backup, or delete ${this.#certificate} and enrol every agent again`,
      );
    }
    return { certificate, privateKey };
  }

  async #writeBoth({ certificate, privateKey }: KeyedCertificate): Promise<void> {
    // The key first: a certificate without its key would be taken for a loss.
    await this.#write(this.#privateKey, privateKey, 0o600);
    await this.#write(this.#certificate, certificate, 0o644);
  }

  async #write(path: string, content: string, mode: number): Promise<void> {
    const temporary = `${path}.new`;
    await writeFile(temporary, content, { mode, flush: true });
    // One that a crash left behind keeps its mode.
    await chmod(temporary, mode);
    await rename(temporary, path);
    await this.#sync();
  }

  async #sync(): Promise<void> {
    const handle = await open(this.#folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async #usable<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new FleetError(
        "STORAGE_UNAVAILABLE",
        `the certificate authority in ${this.#folder} cannot be used: ${why}`,
        { cause: error },
      );
    }
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
