import { lstat, realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { pack, type PackOptions } from "tar-fs";
import { FleetError } from "../../domain/errors.ts";
import { type CopySource, placedName, type Placement } from "./placement.ts";

/** Something on this machine that is to be copied. */
export interface LocalSource extends CopySource {
  /** The folder that it is in. */
  readonly folder: string;
  /** Bytes of a file. Undefined for a folder, whose size nobody knows beforehand. */
  readonly size: number | undefined;
}

/** Looks at what is to be copied. A link is copied as one, unless it is to be followed or ends with a slash. Rejects with `PATH_NOT_FOUND`. */
export async function findLocalSource(path: string, followLink: boolean): Promise<LocalSource> {
  const name = path === "." || path.endsWith("/.") ? "." : basename(resolve(path)) || "/";
  try {
    const isFollowed = followLink || /(^|\/)\.?$/.test(path);
    const full = isFollowed
      ? await realpath(path)
      : join(await realpath(dirname(resolve(path))), basename(resolve(path)));
    const facts = await lstat(full);
    const inside = name === ".";
    if (path.endsWith("/") && !facts.isDirectory()) throw notThere(path, "is no folder");
    const isFolder = facts.isDirectory();
    const base = inside ? "." : basename(full) || ".";
    const size = isFolder ? undefined : facts.size;
    return { folder: base === "." ? full : dirname(full), base, name, isFolder, size };
  } catch (error) {
    throw error instanceof FleetError ? error : notThere(path, wordsOf(error), error);
  }
}

/** An archive of it, made as it is read. */
export function packLocal(source: LocalSource, placement: Placement): AsyncIterable<Uint8Array> {
  const options: PackOptions & { readonly umask: number; readonly sort: boolean } = {
    entries: [source.base],
    umask: 0,
    sort: true,
    // Pipes and devices are left out.
    strict: false,
    map: (header) => ({ ...header, name: placedName(header.name, placement) ?? header.name }),
  };
  return pack(source.folder, options);
}

function notThere(path: string, why: string, cause?: unknown): FleetError {
  return new FleetError("PATH_NOT_FOUND", `${path} ${why}`, { cause });
}

function wordsOf(error: unknown): string {
  const { code = "" } = error as NodeJS.ErrnoException;
  return (
    { ENOENT: "is not there", ENOTDIR: "is no folder", EACCES: "may not be read" }[code] ?? String(error)
  );
}
