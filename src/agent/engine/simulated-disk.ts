import { basename, dirname, join, normalize } from "node:path/posix";
import { failureFromAnswer } from "./docker-errors.ts";
import type { EnginePathFacts } from "./engine-files.ts";
import { tarBlocks, tarEnd, type TarMember, tarMembers } from "./simulated-tar.ts";

type File = Omit<TarMember, "name">;

const chunkBytes = 32 * 1024;
/** More than this no simulated container takes: its disk is memory. */
const diskBytes = 64 * 1024 * 1024;
const kinds = { file: 0o100_000, folder: 0o040_000, link: 0o120_000 } as const;

/** The files of a simulated container, in memory. Links are kept, and not followed. */
export class SimulatedDisk {
  readonly #id: string;
  readonly #files = new Map<string, File>();
  readonly #onPut: (path: string) => void;

  /** `onPut` is told of every file that is unpacked. */
  constructor(id: string, nowMs: number, onPut: (path: string) => void) {
    this.#id = id;
    this.#onPut = onPut;
    const made = { modifiedSeconds: Math.floor(nowMs / 1_000), uid: 0, gid: 0, target: "" };
    const folder = { ...made, kind: "folder", mode: 0o755, data: new Uint8Array() } as const;
    for (const path of ["/", "/bin", "/etc", "/proc", "/tmp"]) this.#files.set(path, folder);
    const data = Buffer.from(`${id.slice(0, 12)}\n`);
    this.#files.set("/etc/hostname", { ...made, kind: "file", mode: 0o644, data });
  }

  /** What is there. Throws what Docker says of what is not. */
  facts(path: string): EnginePathFacts {
    const { kind, mode, data, modifiedSeconds, target } = this.#require(path);
    return {
      name: basename(plain(path)) || "/",
      size: BigInt(kind === "folder" ? 4_096 : data.length),
      mode: kinds[kind] + mode,
      modifiedTime: { seconds: BigInt(modifiedSeconds), nanos: 0 },
      linkTarget: target,
    };
  }

  /** An archive of what is there, in pieces. */
  *pack(path: string): Generator<Uint8Array> {
    const from = plain(path);
    const inside = /\/\.?$/.test(path);
    const base = inside ? "." : basename(from);
    const below = from === "/" ? "/" : `${from}/`;
    for (const [at, file] of [...this.#files].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
      if (at !== from && !at.startsWith(below)) continue;
      const name = at === from ? base : `${base}/${at.slice(below.length)}`;
      const blocks = tarBlocks({ ...file, name: file.kind === "folder" ? `${name}/` : name });
      for (let start = 0; start < blocks.length; start += chunkBytes) {
        yield blocks.subarray(start, start + chunkBytes);
      }
    }
    yield tarEnd;
  }

  /** Unpacks an archive into a folder. What throws while it comes is thrown on, and nothing is unpacked. */
  async unpack(
    path: string,
    chunks: AsyncIterable<Uint8Array>,
    { allowOverwriteKind }: { readonly allowOverwriteKind: boolean },
  ): Promise<void> {
    const folder = plain(path);
    if (this.#require(path).kind !== "folder") throw failureFromAnswer(400, "not a directory");
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > diskBytes) throw failureFromAnswer(500, "no space left on device");
      pieces.push(chunk);
    }
    for (const { name, ...file } of tarMembers(Buffer.concat(pieces))) {
      // Whatever it is called, it stays below the folder.
      this.#put(join(folder, normalize(`/${name}`)), file, allowOverwriteKind);
    }
  }

  #put(path: string, file: File, allowOverwriteKind: boolean): void {
    const at = plain(path);
    const before = this.#files.get(at);
    const isOther = before !== undefined && (before.kind === "folder") !== (file.kind === "folder");
    if (isOther && !allowOverwriteKind) {
      const [what, other] =
        file.kind === "folder" ? ["non-directory", "directory"] : ["directory", "non-directory"];
      throw failureFromAnswer(400, `cannot overwrite ${what} "${at}" with ${other} "${at}"`);
    }
    if (isOther) this.#remove(at);
    for (let parent = dirname(at); !this.#files.has(parent); parent = dirname(parent)) {
      this.#files.set(parent, { ...file, kind: "folder", mode: 0o755, data: new Uint8Array(), target: "" });
    }
    this.#files.set(at, file);
    this.#onPut(at);
  }

  #remove(path: string): void {
    for (const at of this.#files.keys()) {
      if (at === path || at.startsWith(`${path}/`)) this.#files.delete(at);
    }
  }

  #require(path: string): File {
    const file = this.#files.get(plain(path));
    const wantsFolder = /\/\.?$/.test(path);
    if (file === undefined) {
      throw failureFromAnswer(404, `Could not find the file ${path} in container ${this.#id}`);
    }
    if (wantsFolder && file.kind === "file") throw failureFromAnswer(400, "not a directory");
    return file;
  }
}

function plain(path: string): string {
  const absolute = normalize(`/${path}`);
  return absolute.length > 1 && absolute.endsWith("/") ? absolute.slice(0, -1) : absolute;
}
