import type { EngineFileChange, EngineProcesses } from "../../engine/engine.ts";

const maxColumns = 64;
const maxTitleCharacters = 64;
const maxValueCharacters = 4096;
const maxProcesses = 32_768;
const maxPathCharacters = 4096;
const maxChanges = 65_536;
/** So that the outcome, with what its fields cost, stays within the 4 MiB of a result. */
const maxTextBytes = 3 * 1024 * 1024;
/** What one item costs beside its text. */
const itemBytes = 8;

/** Processes within the bounds of `ProcessTable`. */
export function boundedProcesses({ titles, processes }: EngineProcesses) {
  const room = new Room();
  const kept = takeWhile(processes.slice(0, maxProcesses), (row) => room.take(row));
  const rows = kept.map((row) => ({ values: row.slice(0, maxColumns).map(shortened) }));
  const isShortened = kept.some(
    (row) => row.length > maxColumns || row.some((value) => shortened(value) !== value),
  );
  return {
    titles: titles.slice(0, maxColumns).map((title) => title.slice(0, maxTitleCharacters).toWellFormed()),
    processes: rows,
    truncated: kept.length < processes.length || isShortened,
  };
}

/** Changes within the bounds of `FilesystemChanges`. */
export function boundedChanges(changes: readonly EngineFileChange[]) {
  const room = new Room();
  const fitting = changes.filter(({ path }) => path.length <= maxPathCharacters).slice(0, maxChanges);
  const kept = takeWhile(fitting, ({ path }) => room.take([path]));
  return {
    changes: kept.map(({ path, kind }) => ({ path: path.toWellFormed(), kind })),
    truncated: kept.length < changes.length,
  };
}

/** Counts down the bytes that texts may take. */
class Room {
  #left = maxTextBytes;

  /** False: they do not fit any more. */
  take(texts: readonly string[]): boolean {
    for (const text of texts) this.#left -= Buffer.byteLength(shortened(text)) + itemBytes;
    return this.#left >= 0;
  }
}

function shortened(value: string): string {
  return (value.length <= maxValueCharacters ? value : value.slice(0, maxValueCharacters)).toWellFormed();
}

function takeWhile<Item>(items: readonly Item[], isWanted: (item: Item) => boolean): readonly Item[] {
  const end = items.findIndex((item) => !isWanted(item));
  return end < 0 ? items : items.slice(0, end);
}
