import { chmod, readFile, rename, writeFile } from "node:fs/promises";
import { parseApiKey } from "../../domain/api-key.ts";
import { FleetError } from "../../domain/errors.ts";

/** What a command line needs to call the API, as JSON in a file of mode 0600. */
export interface KeyFile {
  /** The API's URL. */
  readonly server: string;
  readonly apiKey: string;
  /** The certificate of the authority to trust, PEM. Left out: there is no TLS. */
  readonly ca?: string;
}

/** Writes a key file, or replaces it, in one step. Rejects with STORAGE_UNAVAILABLE. */
export async function writeKeyFile(path: string, content: KeyFile): Promise<void> {
  try {
    const fresh = `${path}.new`;
    await writeFile(fresh, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600, flush: true });
    // One that a crash left behind keeps its mode.
    await chmod(fresh, 0o600);
    await rename(fresh, path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new FleetError("STORAGE_UNAVAILABLE", `the key file ${path} cannot be written: ${why}`, {
      cause: error,
    });
  }
}

/** The key of a key file. Undefined: there is no such file, or something else is in it. */
export async function keyOfFile(path: string): Promise<string | undefined> {
  try {
    const { apiKey } = JSON.parse(await readFile(path, "utf8")) as { apiKey?: unknown };
    return typeof apiKey === "string" && parseApiKey(apiKey) !== undefined ? apiKey : undefined;
  } catch {
    return undefined;
  }
}
