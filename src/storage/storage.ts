import type { Logger } from "pino";
import type { ApiKeyRepository } from "./api-key-repository.ts";
import type { CommandRepository } from "./command-repository.ts";
import type { EventRepository } from "./event-repository.ts";
import type { FleetRepository } from "./fleet-repository.ts";
import { openOrm } from "./open-orm.ts";
import { OrmStorage } from "./orm-storage.ts";
import type { CommandRecord, EventRecord, NewEvent } from "./records.ts";
import type { TokenRepository } from "./token-repository.ts";

/** What is to be written together with everything else of the same tick. */
export interface CommitBatch {
  /** New and changed commands, whole. Of several records of one command the last one wins. */
  readonly commands?: readonly CommandRecord[];
  readonly events?: readonly NewEvent[];
}

/**
 * What the control plane remembers. Every method rejects with a `FleetError` `STORAGE_UNAVAILABLE` when the database
 * cannot do its work (disk full, read-only, broken, closed); what a resolved promise told has been committed.
 */
export interface Storage {
  readonly fleet: FleetRepository;
  readonly tokens: TokenRepository;
  readonly keys: ApiKeyRepository;
  readonly commands: CommandRepository;
  readonly events: EventRepository;
  /**
   * Writes a batch. All calls of one turn of the event loop become one transaction, in the order of the calls; the
   * promise resolves when COMMIT has returned. A batch that the database refuses for what is in it fails alone.
   */
  commit(batch: CommitBatch): Promise<void>;
  /**
   * Calls the listener after each commit that stored events, whoever stored them, with these, in the order of their sequences. Returns
   * the function that ends this.
   */
  onEvents(listener: (stored: readonly EventRecord[]) => void): () => void;
  /** Whether the latest attempt to write went through. */
  healthy(): boolean;
  /** Calls the listener whenever what `healthy` says has changed. Returns the function that ends this. */
  onHealth(listener: (healthy: boolean) => void): () => void;
  /** Tries a small write, which decides what `healthy` says. Never rejects. */
  probe(): Promise<boolean>;
  /**
   * Empties the write-ahead log into the main file: what was deleted or replaced before is in no file any more. False: another process reads the
   * database, and something is left in the log.
   */
  emptyLog(): Promise<boolean>;
  /** Waits for what was begun, then closes the file. May be called twice. */
  close(): Promise<void>;
}

/** Where the database is, and who is told when it fails. */
export interface StorageOptions {
  /** Path of the file. It is made when missing, with its folder, for their owner alone. */
  readonly path: string;
  readonly logger: Logger;
  readonly observer?: StorageObserver;
}

/** Who measures the group commit. */
export interface StorageObserver {
  /** A transaction of `commit` begins. What is returned is called once, when it has ended. Must not throw. */
  committing(group: CommitGroup): (committed: boolean) => void;
}

/** What one transaction writes. */
export interface CommitGroup {
  /** How many calls of `commit`. */
  readonly batches: number;
  /** How many calls wait for the next transaction. */
  readonly waiting: number;
}

/**
 * Opens the database and brings its schema up to date. Rejects with a `FleetError` `STORAGE_UNAVAILABLE` that says
 * why when it cannot be used, or when a newer version wrote it.
 */
export async function openStorage({ path, logger, observer }: StorageOptions): Promise<Storage> {
  return new OrmStorage(await openOrm(path), logger, observer);
}
