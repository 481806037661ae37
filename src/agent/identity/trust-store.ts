import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FleetError } from "../../domain/errors.ts";
import { writeFileDurably } from "./durable-file.ts";

/** The authorities that the agent trusts to speak for its control plane: the one it was enrolled with, and its successors. */
export class TrustStore {
  readonly #path: string;
  #authorities: string | undefined;

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
  }
}
