import { type FileHandle, open } from "node:fs/promises";
import type { Kysely, MikroORM } from "@mikro-orm/sqlite";
import { FleetError } from "../domain/errors.ts";
import type { PragmaDatabase } from "./write-ahead-log.ts";

/**
 * Commits as durable as any, whose sync of the write-ahead log does not hold up the event loop, as SQLite's own does: with `synchronous = normal` SQLite
 * writes the same into the log, in the same order, and leaves out only the sync at the end, which a thread of Node's pool then does.
 */
export class LogSync {
  readonly #orm: MikroORM;
  #file: Promise<FileHandle> | undefined;

  constructor(orm: MikroORM) {
    this.#orm = orm;
  }

  /**
   * Resolves when what the transaction wrote is on the disk. Nobody else gets the connection before, so that nobody sees what may yet be
   * lost. Rejects as the transaction does, and with `STORAGE_UNAVAILABLE` when the disk does not write; what was committed is then still
   * there, as long as the machine runs.
   */
  async commit<Result>(transact: (kysely: Kysely<unknown>) => Promise<Result>): Promise<Result> {
    const { em } = this.#orm;
    const database = (await em.getConnection().getNativeClient()) as PragmaDatabase;
    const kysely: Kysely<unknown> = em.getKysely();
    return kysely.connection().execute(async (connection) => {
      database.pragma("synchronous = normal");
      let result: Result;
      try {
        result = await transact(connection);
      } finally {
        database.pragma("synchronous = full");
      }
      await this.#sync();
      return result;
    });
  }

  /** Lets go of the file. Never rejects. */
  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.then((opened) => opened.close()).catch(() => undefined);
  }

  async #sync(): Promise<void> {
    try {
      // The same file as long as the database is open. SQLite keeps its locks elsewhere, so that closing it loses none.
      this.#file ??= open(`${this.#orm.config.get("dbName")}-wal`, "r+");
      await (await this.#file).datasync();
    } catch (error) {
      await this.close();
      throw new FleetError("STORAGE_UNAVAILABLE", "the disk does not write", { cause: error });
    }
  }
}
