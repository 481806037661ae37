import type { MikroORM } from "@mikro-orm/sqlite";
import type { Logger } from "pino";
import { type CommitSync, Database, type Transaction } from "./database.ts";
import { GroupCommit } from "./group-commit.ts";
import { inTurns } from "./in-turns.ts";
import { commandRows, OrmCommandRepository } from "./orm-command-repository.ts";
import { OrmApiKeyRepository } from "./orm-api-key-repository.ts";
import { OrmEventRepository } from "./orm-event-repository.ts";
import { OrmFleetRepository } from "./orm-fleet-repository.ts";
import { OrmTokenRepository } from "./orm-token-repository.ts";
import type { CommandRecord, EventRecord } from "./records.ts";
import type { CommitBatch, Storage, StorageObserver } from "./storage.ts";
import { isUnavailable } from "./storage-error.ts";

/** Calls of `commit` in one transaction at most. More are cheaper: what a commit costs are the pages that it changed, of which many share most. */
const maxBatches = 4_096;

/** The `Storage` over an open database. */
export class OrmStorage implements Storage {
  readonly fleet: OrmFleetRepository;
  readonly tokens: OrmTokenRepository;
  readonly keys: OrmApiKeyRepository;
  readonly commands: OrmCommandRepository;
  readonly events: OrmEventRepository;
  readonly #database: Database;
  readonly #batches: GroupCommit<CommitBatch, undefined>;

  constructor(orm: MikroORM, logger: Logger, observer?: StorageObserver) {
    this.#database = new Database(orm, logger);
    this.fleet = new OrmFleetRepository(this.#database);
    this.tokens = new OrmTokenRepository(this.#database);
    this.keys = new OrmApiKeyRepository(this.#database);
    this.commands = new OrmCommandRepository(this.#database);
    this.events = new OrmEventRepository(this.#database);
    this.#batches = new GroupCommit({
      write: async (batches) => {
        const ended = observer?.committing({ batches: batches.length, waiting: this.#batches.waiting });
        let committed = false;
        try {
          await this.#database.transact((transaction) => writeBatches(transaction, batches), syncOf(batches));
          committed = true;
        } finally {
          ended?.(committed);
        }
        return batches.map(() => undefined);
      },
      mayBeOneItem: (error) => !isUnavailable(error),
      maxItems: maxBatches,
    });
  }

  async commit(batch: CommitBatch): Promise<void> {
    await this.#batches.add(batch);
  }

  onEvents(listener: (stored: readonly EventRecord[]) => void): () => void {
    return this.#database.onEvents(listener);
  }

  healthy(): boolean {
    return this.#database.healthy();
  }

  onHealth(listener: (healthy: boolean) => void): () => void {
    return this.#database.onHealth(listener);
  }

  probe(): Promise<boolean> {
    return this.#database.probe();
  }

  emptyLog(): Promise<boolean> {
    return this.#database.emptyLog();
  }

  async close(): Promise<void> {
    await Promise.all([this.#batches.idle(), this.fleet.idle()]);
    await this.#database.close();
  }
}

async function writeBatches(
  { em, insertEvents }: Transaction,
  batches: readonly CommitBatch[],
): Promise<void> {
  // In the order of first mention, each as it was given last.
  const commands = new Map<string, CommandRecord>();
  for (const command of batches.flatMap((batch) => batch.commands ?? [])) {
    commands.set(command.id, command);
  }
  await inTurns([...commands.values()], (rows) => commandRows.write(em, rows));
  await inTurns(
    batches.flatMap((batch) => batch.events ?? []),
    insertEvents,
  );
}

/**
 * Events alone leave the waiting for the disk to a thread. Commands do not: whoever is told that one could not be stored is told that it will never
 * run, and what another thread failed to sync would still be there at the next start.
 */
function syncOf(batches: readonly CommitBatch[]): CommitSync {
  return batches.some(({ commands = [] }) => commands.length > 0) ? "in place" : "apart";
}
