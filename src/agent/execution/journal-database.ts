import { closeSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";

/** A command in the journal. */
export interface JournalRow {
  readonly commandId: string;
  /** The attempt that was accepted last. */
  readonly attempt: number;
  /** Of the session that brought it. */
  readonly epoch: number;
  readonly state: "running" | "ended" | "acknowledged";
  /** The serialised CommandResult, while `state` is "ended". */
  readonly result: Uint8Array | undefined;
  /** Whether the last attempt ended with a failure that a retry can help. */
  readonly retryable: boolean;
  /** The serialised Operation, for what a look at the engine tells something about; otherwise empty. */
  readonly operation: Uint8Array;
  /** When it came, then when it ended, in milliseconds since the epoch. */
  readonly time: number;
}

const schema = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS command (
    id TEXT PRIMARY KEY,
    attempt INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    state TEXT NOT NULL,
    result BLOB,
    retryable INTEGER NOT NULL,
    operation BLOB NOT NULL,
    time INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS command_by_state ON command (state, time);
`;

const columns = "id AS commandId, attempt, epoch, state, result, retryable, operation, time";

/**
 * The journal's SQLite file and its statements. Everything is synchronous and throws what SQLite throws; what is
 * committed survives a power cut (WAL, synchronous=FULL).
 */
export class JournalDatabase {
  readonly #database: Database;
  readonly #find;
  readonly #accept;
  readonly #finish;
  readonly #acknowledge;

  /** Opens the file, or makes it with this id. */
  constructor(path: string, newId: Uint8Array) {
    closeSync(openSync(path, "a", 0o600));
    this.#database = new Database(path, { timeout: 5000 });
    try {
      this.#prepareFile(path, newId);
      this.#find = this.#database.prepare(`SELECT ${columns} FROM command WHERE id = ?`);
      this.#accept = this.#database.prepare(
        `INSERT INTO command VALUES (?, ?, ?, 'running', NULL, 0, ?, ?) ON CONFLICT (id) DO UPDATE
         SET attempt = excluded.attempt, epoch = excluded.epoch, state = 'running', result = NULL, retryable = 0, time = excluded.time`,
      );
      this.#finish = this.#database.prepare(
        "UPDATE command SET state = 'ended', result = ?, retryable = ?, time = ? WHERE id = ?",
      );
      this.#acknowledge = this.#database.prepare(
        "UPDATE command SET state = 'acknowledged', result = NULL, time = ? WHERE id = ? AND state = 'ended'",
      );
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** Random, 16 bytes, as old as the file. */
  id(): Uint8Array {
    const row = this.#database.prepare("SELECT value FROM meta WHERE key = 'journal_id'").get() as {
      value: Buffer;
    };
    return Uint8Array.from(row.value);
  }

  /** Runs all of it in one transaction, or nothing. */
  transaction(work: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** A command by its id. */
  find(commandId: string): JournalRow | undefined {
    const row = this.#find.get(commandId);
    return row === undefined ? undefined : rowFrom(row);
  }

  /** All commands in a state, oldest first. */
  inState(state: JournalRow["state"]): JournalRow[] {
    return this.#database
      .prepare(`SELECT ${columns} FROM command WHERE state = ? ORDER BY time, id`)
      .all(state)
      .map(rowFrom);
  }

  /** Writes down a command, or the next attempt of one. */
  accept(row: Pick<JournalRow, "commandId" | "attempt" | "epoch" | "operation" | "time">): void {
    this.#accept.run(row.commandId, row.attempt, row.epoch, row.operation, row.time);
  }

  /** Writes down how a command ended. */
  finish(commandId: string, result: Uint8Array, retryable: boolean, time: number): void {
    this.#finish.run(result, retryable ? 1 : 0, time, commandId);
  }

  /** Empties a result that is held elsewhere; does nothing when the command runs again. */
  acknowledge(commandId: string, time: number): void {
    this.#acknowledge.run(time, commandId);
  }

  /** Forgets acknowledged commands that are older than the time, and the oldest beyond so many. */
  prune(before: number, keepAtMost: number): void {
    this.#database.prepare("DELETE FROM command WHERE state = 'acknowledged' AND time < ?").run(before);
    this.#database
      .prepare(
        `DELETE FROM command WHERE id IN (SELECT id FROM command WHERE state = 'acknowledged'
         ORDER BY time DESC, id DESC LIMIT -1 OFFSET ?)`,
      )
      .run(keepAtMost);
  }

  /** Closes the file. */
  close(): void {
    this.#database.close();
  }

  #prepareFile(path: string, newId: Uint8Array): void {
    this.#database.pragma("journal_mode = WAL");
    this.#database.pragma("synchronous = FULL");
    this.transaction(() => {
      this.#database.exec(schema);
      this.#database.prepare("INSERT OR IGNORE INTO meta VALUES ('journal_id', ?)").run(newId);
    });
    const folder = openSync(dirname(path), "r");
    fsyncSync(folder);
    closeSync(folder);
  }
}

function rowFrom(row: unknown): JournalRow {
  const read = row as Omit<JournalRow, "result" | "retryable"> & { result: Buffer | null; retryable: number };
  return { ...read, result: read.result ?? undefined, retryable: read.retryable === 1 };
}
