import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FleetError } from "../../domain/errors.ts";

/** What a connection with TLS presents and trusts. */
export interface DockerTls {
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  /** False: whoever answers is believed. */
  readonly verify: boolean;
}

/** Reads `ca.pem`, `cert.pem` and `key.pem` of a folder, each of which may be missing. */
export async function readDockerTls(folder: string, verify: boolean): Promise<DockerTls> {
  const [ca, cert, key] = await Promise.all(
    ["ca.pem", "cert.pem", "key.pem"].map((name) => readIfThere(join(folder, name))),
  );
  return { ca, cert, key, verify };
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return undefined;
    }
    throw new FleetError("INVALID_ARGUMENT", `cannot read ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
