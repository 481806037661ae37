import type { EntityManager, Kysely, MikroORM } from "@mikro-orm/sqlite";
import type { Logger } from "pino";
import { FleetError } from "../domain/errors.ts";
import { EventEntity, type EventRow } from "./entities/event.ts";
import { WriteProbeEntity } from "./entities/write-probe.ts";
import { LogSync } from "./log-sync.ts";
import type { EventRecord, NewEvent } from "./records.ts";
import { RowWriter } from "./row-writer.ts";
import { isUnavailable, storageErrorFrom } from "./storage-error.ts";
import { emptyLog } from "./write-ahead-log.ts";

/** What can be done inside a transaction. */
export interface Transaction {
  /** Bound to the transaction; of no use after it. */
  readonly em: EntityManager;
  /** Stores events, which are announced after the commit. */
  insertEvents(events: readonly NewEvent[]): Promise<void>;
}

/**
 * Who waits for the disk at a commit, before anybody is told of it: the event loop, with everything, or only the transaction and those that come
 * after it. The second takes a little longer.
 */
export type CommitSync = "in place" | "apart";

const eventRows = new RowWriter<NewEvent, EventRow>({
  entity: EventEntity,
  properties: [
    "type",
    "eventTime",
    "recordTime",
    "hostId",
    "hostName",
    "containerId",
    "containerName",
    "commandId",
    "actor",
    "attributes",
  ],
});

/**
 * The open database: reads, transactions, and whether it works. Errors of the database leave it as `FleetError`s.
 * Transactions run one after the other.
 */
export class Database {
  readonly #orm: MikroORM;
  readonly #logger: Logger;
  readonly #log: LogSync;
  readonly #listeners = new Set<(stored: readonly EventRecord[]) => void>();
  readonly #healthListeners = new Set<(healthy: boolean) => void>();
  readonly #running = new Set<Promise<unknown>>();
  #healthy = true;
  #closing: Promise<void> | undefined;

  constructor(orm: MikroORM, logger: Logger) {
    this.#orm = orm;
    this.#log = new LogSync(orm);
    this.#logger = logger;
  }

  /** Whether the latest transaction that wrote went through. */
  healthy(): boolean {
    return this.#healthy;
  }

  /** Calls the listener after each commit that stored events, with these. */
  onEvents(listener: (stored: readonly EventRecord[]) => void): () => void {
    // Wrapped, so that a function given twice is called twice and removed once.
    const entry = (stored: readonly EventRecord[]) => listener(stored);
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  /** Calls the listener whenever what `healthy` says has changed. */
  onHealth(listener: (healthy: boolean) => void): () => void {
    const entry = (healthy: boolean) => listener(healthy);
    this.#healthListeners.add(entry);
    return () => void this.#healthListeners.delete(entry);
  }

  /** Reads with an entity manager of its own. */
  async read<Result>(work: (em: EntityManager) => Promise<Result>): Promise<Result> {
    return this.#run(() => work(this.#orm.em.fork()));
  }

  /** Runs the work in a transaction and commits it; an error of the work rolls it back and is passed on. */
  async transact<Result>(
    work: (transaction: Transaction) => Promise<Result>,
    sync: CommitSync = "in place",
  ): Promise<Result> {
    const stored: EventRecord[] = [];
    try {
      const result = await this.#run(() =>
        this.#inTransaction(
          (em) =>
            work({
              em,
              insertEvents: async (events) => {
                const sequences = await eventRows.write(em, events);
                events.forEach((event, at) => stored.push({ sequence: sequences[at] ?? 0, ...event }));
              },
            }),
          sync,
        ),
      );
      this.#setHealthy(true);
      if (stored.length > 0) this.#tell(this.#listeners, stored);
      return result;
    } catch (error) {
      if (isUnavailable(error) && this.#closing === undefined) {
        this.#setHealthy(false, error);
      }
      throw error;
    }
  }

  /** Tries a small write. Never rejects. */
  async probe(): Promise<boolean> {
    try {
      await this.transact(async ({ em }) => {
        const row = await em.findOneOrFail(WriteProbeEntity, 1);
        await em.nativeUpdate(WriteProbeEntity, 1, { count: row.count + 1 });
      });
      return true;
    } catch {
      return false;
    }
  }

  /** Empties the write-ahead log into the main file; false: another process reads, and something is left in the log. */
  async emptyLog(): Promise<boolean> {
    return this.#run(() => emptyLog(this.#orm));
  }

  /** Waits for what runs, refuses what comes, and closes the file. */
  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#running)
      .then(() => this.#log.close())
      .then(() => this.#orm.close(true));
    return this.#closing;
  }

  async #run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#closing !== undefined) {
      throw new FleetError("STORAGE_UNAVAILABLE", "the database is closed");
    }
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } catch (error) {
      throw storageErrorFrom(error);
    } finally {
      this.#running.delete(running);
    }
  }

  /**
   * Through Kysely's own transaction: MikroORM's never gives the connection back when the rollback fails too, which
   * happens whenever a failing disk made SQLite roll back by itself; everything after it would wait for ever.
   */
  async #inTransaction<Result>(
    work: (em: EntityManager) => Promise<Result>,
    sync: CommitSync,
  ): Promise<Result> {
    const em = this.#orm.em.fork();
    let failure: { readonly error: unknown } | undefined;
    const transact = (kysely: Kysely<unknown>): Promise<Result> =>
      kysely.transaction().execute(async (transaction) => {
        em.setTransactionContext(transaction);
        try {
          return await work(em);
        } catch (error) {
          failure = { error };
          throw error;
        }
      });
    try {
      return await (sync === "apart" ? this.#log.commit(transact) : transact(em.getKysely()));
    } catch (error) {
      // The first error tells more than the one of the rollback.
      throw failure === undefined ? error : failure.error;
    }
  }

  #setHealthy(healthy: boolean, error?: unknown): void {
    if (healthy === this.#healthy) {
      return;
    }
    this.#healthy = healthy;
    this.#logger[healthy ? "info" : "error"](
      { err: error },
      healthy ? "storage works again" : "storage fails",
    );
    this.#tell(this.#healthListeners, healthy);
  }

  #tell<News>(listeners: Iterable<(news: News) => void>, news: News): void {
    for (const listener of listeners) {
      try {
        listener(news);
      } catch (error) {
        this.#logger.error({ err: error }, "a listener of the storage threw");
      }
    }
  }
}
