import { dirname } from "node:path/posix";
import { FilesystemChange_Kind } from "../../gen/fairlead/container/v1/filesystem_change_pb.js";
import type { EngineFileChange } from "./engine.ts";

const { ADDED, DELETED, MODIFIED } = FilesystemChange_Kind;

/** So many changes are remembered; what comes later is forgotten. */
const mostChanges = 10_000;

/**
 * What processes have done to the files of a simulated container. Of its image is known only that it has what is removed without
 * having been made before.
 */
export class SimulatedFiles {
  readonly #kinds = new Map<string, FilesystemChange_Kind>();

  /** Makes a file. */
  touch(path: string): void {
    if (this.#kinds.size < mostChanges && this.#kinds.get(path) !== ADDED) {
      this.#kinds.set(path, this.#kinds.has(path) ? MODIFIED : ADDED);
    }
  }

  /** Removes a file. */
  remove(path: string): void {
    const before = this.#kinds.get(path);
    if (before === ADDED) {
      this.#kinds.delete(path);
    } else if (this.#kinds.size < mostChanges) {
      this.#kinds.set(path, DELETED);
    }
  }

  /** As Docker tells it: with the folders in which something is otherwise. */
  changes(): EngineFileChange[] {
    const all = new Map<string, FilesystemChange_Kind>();
    for (const [path, kind] of this.#kinds) {
      for (let folder = dirname(path); folder !== "/"; folder = dirname(folder)) {
        all.set(folder, all.get(folder) ?? MODIFIED);
      }
      all.set(path, kind);
    }
    return [...all]
      .map(([path, kind]) => ({ path, kind }))
      .toSorted((one, other) => (one.path < other.path ? -1 : 1));
  }
}
