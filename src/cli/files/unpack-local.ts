import { lstatSync } from "node:fs";
import { lstat, mkdir, realpath, rm, stat, symlink } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract, type ExtractOptions, type Headers } from "tar-fs";
import { FleetError } from "../../domain/errors.ts";
import { linkSignal } from "../../resilience/signals.ts";
import { type CopyTarget, placedName, type Placement } from "./placement.ts";

/** Looks at where something is to be copied to. Rejects with `PATH_NOT_FOUND` when not even its folder is there. */
export async function findLocalTarget(path: string): Promise<CopyTarget> {
  try {
    const facts = await stat(path);
    const full = await realpath(path);
    return { path: full, exists: true, isFolder: facts.isDirectory() };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTDIR") {
      throw new FleetError("INVALID_ARGUMENT", `${path} is no folder`, { cause: error });
    }
    if (code !== "ENOENT") throw error;
  }
  const parent = dirname(resolve(path));
  const isThere = await stat(parent).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
  if (!isThere) throw new FleetError("PATH_NOT_FOUND", `the folder ${parent} is not there`);
  return { path: path.endsWith("/") ? `${resolve(path)}/` : resolve(path), exists: false, isFolder: false };
}

type Link = Headers & { linkname?: string };

interface Symlink {
  readonly path: string;
  readonly target: string;
}

// More links than any tree of files has; they are held until everything else is there.
const maxSymlinks = 1_000_000;

/**
 * Unpacks an archive, as fast as the disk takes it, below the folder of its placement and nowhere else: what does not belong to what was asked for ends it
 * with `INVALID_RESULT`. Symbolic links are made last, so that nothing is ever written through one, and may point anywhere, as they may with
 * `docker cp`. Rejects with what the archive throws, and with the system's errors; what was unpacked stays.
 */
export async function unpackLocal(
  chunks: AsyncIterable<Uint8Array>,
  placement: Placement,
  { keepOwners, signal }: { readonly keepOwners: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const members = new Members(placement);
  const options: ExtractOptions & { readonly umask: number; readonly chown: boolean } = {
    umask: 0,
    chown: keepOwners,
    strict: false,
    map: (header) => members.placed(header),
    ignore: (name, header) => members.isLeftOut(name, header),
  };
  const ending = linkSignal(signal);
  void members.refused.then((error) => ending.abort(error));
  try {
    const unpacking = extract(placement.folder, options);
    await pipeline(Readable.from(chunks, { objectMode: false }), unpacking, { signal: ending.signal });
  } catch (error) {
    throw members.refusal ?? error;
  } finally {
    ending.release();
  }
  if (members.refusal !== undefined) throw members.refusal;
  for (const link of members.links) await makeLink(link, placement.folder);
}

/** Looks at each member before it is unpacked. Nothing here may throw: it is called in the middle of a stream. */
class Members {
  readonly links: Symlink[] = [];
  /** Resolves when a member must not be unpacked. */
  readonly refused: Promise<FleetError>;
  refusal: FleetError | undefined;
  readonly #placement: Placement;
  readonly #refuse: (error: FleetError) => void;

  constructor(placement: Placement) {
    const { promise, resolve: refuse } = Promise.withResolvers<FleetError>();
    this.#placement = placement;
    this.refused = promise;
    this.#refuse = refuse;
  }

  placed(header: Link): Headers {
    const { type, linkname } = header;
    const name = placedName(header.name, this.#placement);
    const linked = type === "link" ? placedName(linkname ?? "", this.#placement) : linkname;
    if (name === undefined || (type === "link" && linked === undefined)) {
      this.#fail(`the host sent ${JSON.stringify(header.name)}, which was not asked for`);
      return header;
    }
    return linked === undefined
      ? { ...header, name }
      : Object.assign({ ...header, name }, { linkname: linked });
  }

  isLeftOut(path: string, header: Link | undefined): boolean {
    if (this.refusal !== undefined) return true;
    if (header?.type === "directory" && this.#leadsElsewhere(path)) {
      this.#fail(`the host sent a folder for ${path}, where a link is`);
      return true;
    }
    if (header?.type !== "symlink") return false;
    if (this.links.length >= maxSymlinks) this.#fail(`the archive has more than ${maxSymlinks} links`);
    else this.links.push({ path, target: header.linkname ?? "" });
    return true;
  }

  // Of files this is seen to where they are unpacked.
  #leadsElsewhere(path: string): boolean {
    const root = resolve(this.#placement.folder);
    for (let at = resolve(path); at.startsWith(join(root, sep)); at = dirname(at)) {
      if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() === true) return true;
    }
    return false;
  }

  #fail(message: string): void {
    this.refusal ??= new FleetError("INVALID_RESULT", message);
    this.#refuse(this.refusal);
  }
}

async function makeLink({ path, target }: Symlink, root: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  await requireTrueFolder(folder, resolve(root));
  const before = await lstat(path).catch(() => undefined);
  if (before?.isDirectory() === true) {
    throw new FleetError("INVALID_ARGUMENT", `a link cannot take the place of the folder ${path}`);
  }
  await rm(path, { force: true });
  await symlink(target, path);
}

/** A link that was made before must not lead the next one elsewhere. */
async function requireTrueFolder(folder: string, root: string): Promise<void> {
  const real = await realpath(folder);
  const realRoot = await realpath(root);
  if (real === realRoot || real.startsWith(join(realRoot, sep))) return;
  throw new FleetError("INVALID_RESULT", `the host sent something for ${folder}, which leads elsewhere`);
}
