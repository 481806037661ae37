import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { Engine, EngineContainer } from "../engine/engine.ts";
import type { ContainerMirror } from "./container-mirror.ts";

/** What a refresher is made of. */
export interface ContainerRefresherOptions {
  readonly engine: Engine;
  readonly mirror: ContainerMirror;
  readonly complete: (container: EngineContainer) => EngineContainer;
  readonly clock: Clock;
  readonly logger: Logger;
}

const concurrentLooks = 8;
const againAfterMs = 500;

/**
 * Looks at containers of which something was heard, and puts what it sees into the mirror. Many events of one
 * container cost one look at a time and one more for what came meanwhile. Begins when it is told to, so that a list
 * that is older than an event cannot overwrite what the event brought.
 */
export class ContainerRefresher {
  readonly #options: ContainerRefresherOptions;
  readonly #signal: AbortSignal;
  readonly #waiting = new Set<string>();
  readonly #looking = new Set<string>();
  readonly #looks = new Set<Promise<void>>();
  #begun = false;

  constructor(options: ContainerRefresherOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** Looks at a container soon. */
  refresh(containerId: string): void {
    this.#waiting.add(containerId);
    this.#pump();
  }

  /** The list is taken: from now on looks count. */
  begin(): void {
    this.#begun = true;
    this.#pump();
  }

  /** Resolves when no look is under way. To be called after the signal aborted. */
  async done(): Promise<void> {
    await Promise.all(this.#looks);
  }

  #pump(): void {
    if (!this.#begun || this.#signal.aborted) return;
    for (const containerId of this.#waiting) {
      if (this.#looking.size >= concurrentLooks) return;
      if (this.#looking.has(containerId)) continue;
      this.#waiting.delete(containerId);
      this.#looking.add(containerId);
      const look = this.#look(containerId).finally(() => {
        this.#looks.delete(look);
        this.#looking.delete(containerId);
        this.#pump();
      });
      this.#looks.add(look);
    }
  }

  async #look(containerId: string): Promise<void> {
    const { clock, complete, engine, logger, mirror } = this.#options;
    try {
      mirror.upsert(complete(await engine.getContainer(containerId, this.#signal)));
    } catch (error) {
      if (this.#signal.aborted) return;
      if (error instanceof FleetError && error.reason === "CONTAINER_NOT_FOUND") {
        mirror.remove(containerId);
        return;
      }
      logger.warn({ err: error, container_id: containerId }, "a container cannot be looked at, trying again");
      this.#waiting.add(containerId);
      await clock.sleep(againAfterMs, this.#signal).catch(() => undefined);
    }
  }
}
