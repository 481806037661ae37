import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Clock } from "../../resilience/clock.ts";
import { writeFileDurably } from "../../disk/durable-file.ts";

/** How long a new position may wait to be written: what lies between is asked of the engine again, and told once all the same. */
const writeAfterMs = 5_000;

interface Position {
  readonly beganNs: bigint;
  readonly takenNs: bigint;
}

/**
 * Up to which of the engine's events the control plane has them all, kept in the data folder over restarts of the agent. Written
 * rarely: one that is too old costs a few events told again, never one that is missed.
 */
export class EventPosition {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  #position: Position | undefined;
  #written: Position | undefined;
  #writing: Promise<void> | undefined;

  private constructor(path: string, position: Position | undefined, clock: Clock, logger: Logger) {
    this.#path = path;
    this.#clock = clock;
    this.#logger = logger;
    this.#position = position;
    this.#written = position;
  }

  /** Reads what an earlier process left. A file that cannot be read or understood is none, and is logged. */
  static async open(
    dataDir: string,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  ): Promise<EventPosition> {
    const path = join(dataDir, "events.json");
    return new EventPosition(path, await positionAt(path, logger), clock, logger);
  }

  /** When this agent first listened, by the engine's clock, in nanoseconds since the epoch: nothing before is its business. Undefined: never. */
  get beganNs(): bigint | undefined {
    return this.#position?.beganNs;
  }

  /** The time of the last event that was taken, or else when this agent first listened. Undefined: never. */
  get takenNs(): bigint | undefined {
    return this.#position?.takenNs;
  }

  /** The agent listens. Counts where it has no position; 0, a time that the engine did not tell, is none. */
  begin(timeNs: bigint): void {
    if (this.#position === undefined && timeNs > 0n) this.#move({ beganNs: timeNs, takenNs: timeNs });
  }

  /** Every event up to this one is with the control plane. */
  taken(timeNs: bigint): void {
    this.#move({ beganNs: this.#position?.beganNs ?? timeNs, takenNs: timeNs });
  }

  /** Writes what is not written yet. Nothing is written afterwards. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writing;
  }

  #move(position: Position): void {
    this.#position = position;
    if (this.#closing.signal.aborted) return;
    this.#writing ??= this.#writeSoon().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeSoon(): Promise<void> {
    while (this.#position !== undefined && this.#position !== this.#written) {
      // The first one at once: an agent that is killed in its first seconds must find where it began.
      if (this.#written !== undefined) {
        await this.#clock.sleep(writeAfterMs, this.#closing.signal).catch(() => undefined);
      }
      const { beganNs, takenNs } = this.#position;
      this.#written = this.#position;
      try {
        const content = JSON.stringify({ beganNs: `${beganNs}`, takenNs: `${takenNs}` });
        await writeFileDurably(this.#path, `${content}\n`);
      } catch (error) {
        this.#logger.warn({ err: error }, "cannot write down which events of the engine were taken");
      }
    }
  }
}

async function positionAt(path: string, logger: Logger): Promise<Position | undefined> {
  try {
    const { beganNs, takenNs } = JSON.parse(await readFile(path, "utf8")) as Record<keyof Position, string>;
    return { beganNs: BigInt(beganNs), takenNs: BigInt(takenNs) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      logger.warn(
        { err: error, path },
        "nobody knows which events of the engine were taken, beginning with now",
      );
    }
    return undefined;
  }
}
