import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FleetError } from "../../domain/errors.ts";
import { certificatesIn, publicKeyDigest } from "../../rpc/public-key-digest.ts";
import { writeFileDurably } from "../../disk/durable-file.ts";
import { type ListedAuthority, provenAuthorities } from "./succession.ts";

/** The authorities that the agent trusts to speak for its control plane: the one it was enrolled with, and its successors. */
export class TrustStore {
  readonly #path: string;
  #authorities: string | undefined;
  /** Made when they are asked for first: every hello names them. */
  #digests: readonly Uint8Array[] | undefined;
  #learning: Promise<unknown> = Promise.resolve();

  private constructor(path: string, authorities: string | undefined) {
    this.#path = path;
    this.#authorities = authorities;
  }

  /** Reads what is kept in the data folder. Rejects with STORAGE_UNAVAILABLE when it cannot be read. */
  static async open(dataDir: string): Promise<TrustStore> {
    const path = join(dataDir, "ca.pem");
    try {
      return new TrustStore(path, await readFile(path, "utf8"));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") {
        return new TrustStore(path, undefined);
      }
      throw new FleetError(
        "STORAGE_UNAVAILABLE",
        `the trusted authority ${path} cannot be read: ${String(error)}`,
        { cause: error },
      );
    }
  }

  /** Their certificates in PEM. Undefined: none is known yet. */
  get authorities(): string | undefined {
    return this.#authorities;
  }

  /** Of each of them SHA-256 of its public key. */
  get digests(): readonly Uint8Array[] {
    this.#digests ??= certificatesIn(this.#authorities ?? "").map((pem) =>
      publicKeyDigest(new X509Certificate(pem)),
    );
    return this.#digests;
  }

  /**
   * Trusts those of a list that are trusted already or that one of these has signed, and no others from now on; on the disk when it
   * resolves. Resolves to how many were refused. When none is proved, or nothing was trusted before, nothing is changed. Rejects with
   * STORAGE_UNAVAILABLE.
   */
  async learn(listed: readonly ListedAuthority[], nowMs: number): Promise<number> {
    const learned = this.#learning.then(async () => {
      if (this.#authorities === undefined) return listed.length;
      const proven = provenAuthorities(this.#authorities, listed, nowMs);
      if (proven.length > 0) await this.replace(proven.join(""));
      return listed.length - proven.length;
    });
    this.#learning = learned.catch(() => undefined);
    return await learned;
  }

  /** Trusts these and no others from now on; on the disk when it resolves. */
  async replace(authorities: string): Promise<void> {
    if (authorities === this.#authorities) return;
    try {
      await writeFileDurably(this.#path, authorities);
    } catch (error) {
      throw new FleetError(
        "STORAGE_UNAVAILABLE",
        `the trusted authority ${this.#path} cannot be written: ${String(error)}`,
        { cause: error },
      );
    }
    this.#authorities = authorities;
    this.#digests = undefined;
  }
}
