import type { Logger } from "pino";
import type { Clock } from "../../resilience/clock.ts";
import type { Storage } from "../../storage/storage.ts";

const writeAfterMs = 60_000;

/** When keys were used last: written at most once a minute, all together, because no call may cost a write. */
export class KeyUses {
  readonly #keys: Pick<Storage["keys"], "noteUses">;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #uses = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;

  constructor(parts: { storage: { keys: Pick<Storage["keys"], "noteUses"> }; clock: Clock; logger: Logger }) {
    this.#keys = parts.storage.keys;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
  }

  /** A key was used now. */
  note(keyId: string): void {
    this.#uses.set(keyId, this.#clock.now());
    this.#timer ??= setTimeout(() => void this.write(), writeAfterMs).unref();
  }

  /** Writes what was noted. Never rejects: what cannot be written is logged, and noted again by the next use. */
  async write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const uses = [...this.#uses].map(([id, time]) => ({ id, time }));
    this.#uses = new Map();
    if (uses.length > 0) this.#writing = this.#store(uses);
    await this.#writing;
  }

  async #store(uses: readonly { readonly id: string; readonly time: number }[]): Promise<void> {
    try {
      await this.#keys.noteUses(uses);
    } catch (error) {
      this.#logger.warn({ err: error }, "when API keys were used last could not be stored");
    }
  }
}
