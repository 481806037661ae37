import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FleetError } from "../domain/errors.ts";
import type { Environment } from "./environment.ts";

/** Where a control plane of this machine keeps everything, unless somebody says otherwise. */
export const defaultDataFolder = "./fairlead-data";

/** What is known of a server already. */
export interface AuthorityHints {
  /** The file that the command line names. */
  readonly path: string | undefined;
  /** The certificates that a key file has, PEM. */
  readonly known: string | undefined;
  readonly server: string;
}

/**
 * The certificates to trust a server by, PEM: those of the file that is named (`--ca`, FAIRLEAD_CA), else those of the key file,
 * else, for a server on this machine, those of the authority in the data folder, if there is one. Undefined: what the machine
 * trusts. Throws INVALID_ARGUMENT when a file that was named cannot be used.
 */
export function findAuthority(
  { path, known, server }: AuthorityHints,
  { env }: Environment,
): string | undefined {
  const named = path ?? (env["FAIRLEAD_CA"] || undefined);
  if (named !== undefined) return readNamed(named);
  if (known !== undefined || !isOnThisMachine(server)) return known;
  try {
    return readFileSync(join(env["FAIRLEAD_DATA"] || defaultDataFolder, "tls", "ca.crt"), "utf8");
  } catch {
    // Nobody asked for it.
    return undefined;
  }
}

function readNamed(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new FleetError("INVALID_ARGUMENT", `the certificate ${path} cannot be read: ${why}`, {
      cause: error,
    });
  }
}

function isOnThisMachine(server: string): boolean {
  return /^(https:\/\/)?(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?\/?$/i.test(server);
}
