import { UntoldResults } from "./untold-results.ts";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { writeFileDurably } from "../../disk/durable-file.ts";
import { JournalDatabase, type JournalRow } from "./journal-database.ts";

/** Where a journal is and what it needs. */
export interface JournalOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Write {
  readonly run: (database: JournalDatabase) => void;
  readonly resolve: () => void;
  readonly reject: (error: FleetError) => void;
}

const keptMs = 24 * 3_600_000;
const keptCommands = 100_000;
const acknowledgementsBetweenPrunes = 1000;
const acknowledgementMs = 200;
const mostTurns = 16;

/**
 * What the agent was told to change and how it ended, so that no command runs twice and no result is lost, whatever
 * crashes. A write that resolved survives a power cut. All writes of turns of the event loop that follow close on each other are one
 * transaction: few commands run at once, and were each few of them committed by themselves, the disk would be what all others wait for.
 * Acknowledgements, which nobody waits for, travel with the next one.
 * The file is made at the first write: an agent that only reads has none.
 */
export class Journal {
  /** Random, 16 bytes. Another value than before: the journal was lost. */
  readonly id: Uint8Array;
  readonly #options: JournalOptions;
  #database: JournalDatabase | undefined;
  #batch: Write[] = [];
  #flushing: NodeJS.Immediate | undefined;
  #flushingLater: NodeJS.Timeout | undefined;
  readonly #untold = new UntoldResults();
  #acknowledgements = 0;
  #closed = false;

  /** For `open` alone. */
  constructor(options: JournalOptions, id: Uint8Array, database: JournalDatabase | undefined) {
    this.#options = options;
    this.id = id;
    this.#database = database;
  }

  /** Opens the file when it is there. A damaged one rejects with `STORAGE_UNAVAILABLE`. */
  static async open(options: JournalOptions): Promise<Journal> {
    try {
      if (existsSync(pathOf(options))) {
        const database = new JournalDatabase(pathOf(options), randomBytes(16));
        await rm(idPathOf(options), { force: true });
        return new Journal(options, database.id(), database);
      }
      return new Journal(options, await idOfNoFile(options), undefined);
    } catch (error) {
      throw unavailable(error, "opened");
    }
  }

  /** What the journal knows of a command. Only what is committed counts. */
  find(commandId: string): JournalRow | undefined {
    const row = this.#reading((database) => database.find(commandId));
    const whole = row?.state === "ended" ? this.#untold.get(commandId) : undefined;
    return row === undefined || whole === undefined ? row : { ...row, result: whole };
  }

  /** Commands that were accepted and have not ended, oldest first. */
  running(): JournalRow[] {
    return this.#reading((database) => database.inState("running")) ?? [];
  }

  /** Commands whose results nobody has acknowledged, oldest first. */
  held(): JournalRow[] {
    if (this.#flushingLater !== undefined) this.#flush();
    const held = this.#reading((database) => database.inState("ended")) ?? [];
    return held.map((row) => ({ ...row, result: this.#untold.get(row.commandId) ?? row.result }));
  }

  /** Writes down a command before it starts. Rejects with `STORAGE_UNAVAILABLE`; then it must not start. */
  async accept(command: Pick<JournalRow, "commandId" | "attempt" | "epoch" | "operation">): Promise<void> {
    const time = this.#options.clock.now();
    await this.#write((database) => database.accept({ ...command, time }));
  }

  /**
   * Writes down how a command ended, before anybody is told. Rejects with `STORAGE_UNAVAILABLE`. `whole` is what is told, where only a
   * part may be written: it is kept in memory until it is acknowledged, or until there is too much of that.
   */
  async finish(
    commandId: string,
    result: Uint8Array,
    retryable: boolean,
    whole: Uint8Array = result,
  ): Promise<void> {
    const time = this.#options.clock.now();
    if (whole !== result) this.#untold.add(commandId, whole);
    await this.#write((database) => database.finish(commandId, result, retryable, time));
  }

  /**
   * The control plane holds these results: forgets them, and remembers only that the commands were run. Does not hurry: what is lost of this is
   * told again, and acknowledged again, in the next session.
   */
  async acknowledge(commandIds: readonly string[]): Promise<void> {
    if (commandIds.length === 0 || this.#database === undefined) return;
    for (const commandId of commandIds) this.#untold.delete(commandId);
    const time = this.#options.clock.now();
    this.#acknowledgements += commandIds.length;
    const prunes = this.#acknowledgements >= acknowledgementsBetweenPrunes;
    if (prunes) this.#acknowledgements = 0;
    this.#flushingLater ??= setTimeout(() => this.#flush(), acknowledgementMs).unref();
    await this.#gathered((database) => {
      for (const commandId of commandIds) database.acknowledge(commandId, time);
      if (prunes) database.prune(time - keptMs, keptCommands);
    });
  }

  /** Commits what waits and closes the file. */
  close(): void {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    this.#database?.close();
    this.#database = undefined;
  }

  #reading<Value>(read: (database: JournalDatabase) => Value): Value | undefined {
    if (this.#database === undefined) return undefined;
    try {
      return read(this.#database);
    } catch (error) {
      throw unavailable(error, "read");
    }
  }

  async #write(run: Write["run"]): Promise<void> {
    if (!this.#closed && this.#flushing === undefined) this.#flushSoon();
    await this.#gathered(run);
  }

  /** Resolves with the next commit, whoever asks for it. */
  async #gathered(run: Write["run"]): Promise<void> {
    if (this.#closed) throw new FleetError("STORAGE_UNAVAILABLE", "the agent's journal is closed");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#batch.push({ run, resolve, reject });
    await promise;
  }

  /** Commits what waits as soon as two turns of the event loop have brought nothing more, or after so many turns. */
  #flushSoon(turn = 1, quietTurns = 0): void {
    const before = this.#batch.length;
    this.#flushing = setImmediate(() => {
      const quiet = this.#batch.length > before ? 0 : quietTurns + 1;
      if (quiet < 2 && turn < mostTurns) this.#flushSoon(turn + 1, quiet);
      else this.#flush();
    });
  }

  #flush(): void {
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    clearTimeout(this.#flushingLater);
    this.#flushingLater = undefined;
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    try {
      this.#database ??= this.#create();
      const database = this.#database;
      database.transaction(() => {
        for (const write of batch) write.run(database);
      });
    } catch (error) {
      const failure = unavailable(error, "written");
      this.#options.logger.error({ err: error, writes: batch.length }, failure.message);
      for (const write of batch) write.reject(failure);
      return;
    }
    for (const write of batch) write.resolve();
  }

  #create(): JournalDatabase {
    const database = new JournalDatabase(pathOf(this.#options), this.id);
    // From here on the file has the id. Were both to stay, a lost file would look like one that was never made.
    rm(idPathOf(this.#options), { force: true }).catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, "the journal's spare id cannot be removed");
    });
    return database;
  }
}

function pathOf({ dataDir }: JournalOptions): string {
  return join(dataDir, "journal.db");
}

function idPathOf({ dataDir }: JournalOptions): string {
  return join(dataDir, "journal-id");
}

// As long as there is no file, its future id is kept apart, so that a restart in between is not taken for a loss.
async function idOfNoFile(options: JournalOptions): Promise<Uint8Array> {
  const kept = await readFile(idPathOf(options), "utf8").catch(() => "");
  if (/^[0-9a-f]{32}\n$/.test(kept)) return Uint8Array.from(Buffer.from(kept, "hex"));
  const id = Uint8Array.from(randomBytes(16));
  await writeFileDurably(idPathOf(options), `${Buffer.from(id).toString("hex")}\n`);
  return id;
}

function unavailable(error: unknown, what: string): FleetError {
  const detail = error instanceof Error ? error.message : String(error);
  return new FleetError("STORAGE_UNAVAILABLE", `the agent's journal cannot be ${what}: ${detail}`, {
    cause: error,
  });
}
