import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pino } from "pino";
import { openStorage, type Storage } from "../../src/storage/storage.ts";

/** Says nothing. */
export const silent = pino({ level: "silent" });

/** A database file in a folder of its own, which can be opened many times, and is removed at the end. */
export class TemporaryStorage {
  readonly folder = mkdtempSync(join(tmpdir(), "fairlead-storage-"));
  readonly path = join(this.folder, "data", "fairlead.db");
  readonly #opened: Storage[] = [];

  /** Opens the database once more. */
  async open(): Promise<Storage> {
    const storage = await openStorage({ path: this.path, logger: silent });
    this.#opened.push(storage);
    return storage;
  }

  /** The first column of what a statement answers, read past all of our own code. */
  query(statement: string): unknown[] {
    const database = new DatabaseSync(this.path);
    try {
      return database
        .prepare(statement)
        .all()
        .map((row) => Object.values(row)[0]);
    } finally {
      database.close();
    }
  }

  /** Closes what was opened and removes the folder. */
  async remove(): Promise<void> {
    await Promise.all(this.#opened.map((storage) => storage.close()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
