import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { FleetError } from "../domain/errors.ts";

/** A data folder that nobody else uses. */
export interface FolderLock {
  /** Gives the folder free. May be called twice. */
  release(): void;
}

/** Who uses a data folder. Each kind has a lock of its own. */
export type FolderHolder = "control plane" | "agent";

const lockFiles: Readonly<Record<FolderHolder, string>> = {
  "control plane": "fairlead.lock",
  agent: "agent.lock",
};

/**
 * Takes a data folder for one holder of its kind alone, and makes it when it is missing. The operating system gives it free when the
 * process ends, however it ends: what is held is SQLite's lock of an empty file, not the file. A process that merely stands still keeps it.
 * Costs one open file. Throws STORAGE_UNAVAILABLE when another process or another part of this one has the folder, or when it
 * cannot be used; nothing in it was changed then.
 */
export function lockFolder(folder: string, holder: FolderHolder): FolderLock {
  let database: Database | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, lockFiles[holder]);
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
    database = new Database(path, { timeout: 0 });
    // Leaves no second file beside it.
    database.pragma("journal_mode = memory");
    // Nothing is ever written in it: the open transaction is the lock.
    database.exec("begin exclusive");
    const held = database;
    return { release: () => void held.close() };
  } catch (error) {
    database?.close();
    throw refusal(folder, holder, error);
  }
}

function refusal(folder: string, holder: FolderHolder, error: unknown): FleetError {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const why = error instanceof Error ? error.message : String(error);
  return new FleetError(
    "STORAGE_UNAVAILABLE",
    code === "SQLITE_BUSY"
      ? `the data folder ${folder} is in use by another ${holder}; end that one first, or choose another folder with --data`
      : `the data folder ${folder} cannot be used: ${why}`,
    { cause: error },
  );
}
