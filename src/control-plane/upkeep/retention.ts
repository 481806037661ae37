import { setImmediate as turn } from "node:timers/promises";
import type { Logger } from "pino";
import type { Clock } from "../../resilience/clock.ts";
import type { CommandPosition } from "../../storage/command-repository.ts";
import type { Storage } from "../../storage/storage.ts";
import type { RetentionSettings } from "./retention-settings.ts";

/** What retention needs. */
export interface RetentionParts {
  readonly storage: Pick<Storage, "commands" | "events" | "tokens" | "emptyLog">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: RetentionSettings;
  /** How long a caller's key stands for its command, in milliseconds; such a command is not deleted. */
  readonly keysMs: number;
  /** The operations whose outcomes are not kept any longer than that, as the journal names them. */
  readonly briefOperations: readonly string[];
}

/** How many rows one round deleted. */
export interface PrunedRows {
  readonly commands: number;
  readonly events: number;
  readonly tokens: number;
}

/**
 * Keeps the database bounded: deletes, in the background, ended commands, events and dead registration tokens that are too old or too
 * many. Works in small transactions with pauses, so that nobody else waits long.
 */
export class Retention {
  readonly #parts: RetentionParts;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  /** Behind it outcomes may have to be forgotten; nothing ends before what has ended. */
  #forgottenUpTo: CommandPosition | undefined;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** Begins, with a round at once. To be called once. */
  start(): void {
    this.#running ??= this.#run(this.#stop.signal);
  }

  /** Stops. Resolves when the transaction under way, if there is one, has ended. */
  async close(): Promise<void> {
    this.#stop.abort(new Error("the control plane goes away"));
    await this.#running;
  }

  /** One round: all that is to be deleted now, and what was deleted or ended before leaves the files. Rejects with the signal's reason, and when the database fails. */
  async round(signal: AbortSignal): Promise<PrunedRows> {
    const { storage, clock, settings } = this.#parts;
    const { batch } = settings;
    const now = clock.now();
    const commands = await this.#commands(now, signal);
    await this.#outcomes(now, signal);
    const events = await this.#untilDone(signal, () =>
      storage.events.prune({ before: now - settings.eventsMs, keepAtMost: settings.maxEvents, batch }),
    );
    const tokens = await this.#untilDone(signal, () =>
      storage.tokens.prune({ endedBefore: now - settings.tokensMs, batch }),
    );
    // A command that ended gave up its payload, which may hold secrets of its container.
    await storage.emptyLog();
    return { commands, events, tokens };
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, logger, settings } = this.#parts;
    while (!signal.aborted) {
      try {
        const rows = await this.round(signal);
        if (rows.commands + rows.events + rows.tokens > 0) logger.info(rows, "old rows were deleted");
      } catch (error) {
        if (!signal.aborted) logger.warn({ err: error }, "old rows could not be deleted; tried again later");
      }
      await clock.sleep(settings.intervalMs, signal).catch(() => undefined);
      // Also when the clock is one that never waits, others have their turn.
      await turn();
    }
  }

  async #commands(now: number, signal: AbortSignal): Promise<number> {
    const { storage, settings, keysMs } = this.#parts;
    const excess = (await storage.commands.countEnded()) - settings.maxCommands;
    let deleted = 0;
    let after: CommandPosition | undefined;
    do {
      signal.throwIfAborted();
      const pruned = await storage.commands.prune({
        endedBefore: now - settings.commandsMs,
        excess: Math.max(0, excess - deleted),
        keysSince: now - keysMs,
        after,
        batch: settings.batch,
      });
      deleted += pruned.deleted;
      after = pruned.last;
      await this.#pause(signal);
    } while (after !== undefined);
    return deleted;
  }

  async #outcomes(now: number, signal: AbortSignal): Promise<void> {
    const { storage, settings, keysMs, briefOperations: operations } = this.#parts;
    let isDone: boolean;
    do {
      signal.throwIfAborted();
      const { last, done } = await storage.commands.forgetOutcomes({
        operations,
        endedBefore: now - keysMs,
        after: this.#forgottenUpTo,
        batch: settings.batch,
      });
      this.#forgottenUpTo = last;
      isDone = done;
      await this.#pause(signal);
    } while (!isDone);
  }

  async #untilDone(signal: AbortSignal, prune: () => Promise<number>): Promise<number> {
    let deleted = 0;
    let latest: number;
    do {
      signal.throwIfAborted();
      latest = await prune();
      deleted += latest;
      await this.#pause(signal);
    } while (latest === this.#parts.settings.batch);
    return deleted;
  }

  #pause(signal: AbortSignal): Promise<void> {
    return this.#parts.clock.sleep(this.#parts.settings.pauseMs, signal);
  }
}
