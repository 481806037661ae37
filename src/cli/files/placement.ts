import { basename, dirname, normalize } from "node:path/posix";
import { FleetError } from "../../domain/errors.ts";

/** What is to be copied. */
export interface CopySource {
  /** What its archive calls it; "." when it is what is in a folder, and not the folder. */
  readonly base: string;
  /** What it is to be called. */
  readonly name: string;
  readonly isFolder: boolean;
}

/** Where it is to be copied to. */
export interface CopyTarget {
  readonly path: string;
  readonly exists: boolean;
  readonly isFolder: boolean;
}

/** How it is unpacked. */
export interface Placement {
  /** The folder in which the archive is unpacked. */
  readonly folder: string;
  /** What the archive calls it. */
  readonly from: string;
  /** What it is called there. */
  readonly to: string;
}

/** The folder and the last part of a path; of "folder/." the last part is ".". */
export function splitPath(path: string): { readonly folder: string; readonly base: string } {
  const clean = normalize(path).replace(/(.)\/+$/, "$1");
  if (path === "." || path.endsWith("/.")) return { folder: clean, base: "." };
  return { folder: dirname(clean), base: basename(clean) || "/" };
}

/**
 * Where to unpack an archive, and what to call what is in it, by the rules of `docker cp`. Throws `INVALID_ARGUMENT` for a folder that would have
 * to become a file, and for a file into a folder that is not there.
 */
export function placementOf({ base, name, isFolder }: CopySource, target: CopyTarget): Placement {
  if (target.exists && target.isFolder) return { folder: target.path, from: base, to: name };
  if (target.exists && isFolder) {
    throw new FleetError("INVALID_ARGUMENT", `cannot copy a folder onto the file ${target.path}`);
  }
  const isSaidToBeFolder = /(^|\/)\.?$/.test(target.path);
  if (!target.exists && !isFolder && isSaidToBeFolder) {
    throw new FleetError("INVALID_ARGUMENT", `the folder ${target.path} is not there`);
  }
  const { folder, base: to } = splitPath(target.path.replace(/\/\.?$/, ""));
  return { folder, from: base, to };
}

/**
 * What a member of an archive is called where it is unpacked. Undefined: it does not belong to what was asked for, and must not be unpacked, so that a
 * host cannot put something beside it.
 */
export function placedName(member: string, { from, to }: Pick<Placement, "from" | "to">): string | undefined {
  const plain = member.replace(/^(\.?\/+)+/, "").replace(/\/+$/, "");
  if (plain.split("/").includes("..")) return undefined;
  if (from === "." || from === "/") {
    const inside = plain === "." ? "" : plain;
    return to === "." || to === "/" ? inside || "." : inside === "" ? to : `${to}/${inside}`;
  }
  return plain === from || plain.startsWith(`${from}/`) ? `${to}${plain.slice(from.length)}` : undefined;
}
