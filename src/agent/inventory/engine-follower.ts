import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import { fullJitterMs } from "../../resilience/backoff.ts";
import type { Clock } from "../../resilience/clock.ts";
import { linkSignal } from "../../resilience/signals.ts";
import type { Engine, EngineContainer, EngineEvent } from "../engine/engine.ts";
import type { ContainerMirror } from "./container-mirror.ts";
import { ContainerRefresher } from "./container-refresher.ts";
import type { EventCause, EventCauses } from "./event-causes.ts";
import type { EventPosition } from "./event-position.ts";
import type { HostEventQueue } from "./host-event-queue.ts";
import { RecentEvents } from "./recent-events.ts";

/** What a follower is made of. */
export interface EngineFollowerOptions {
  readonly engine: Engine;
  readonly mirror: ContainerMirror;
  readonly events: HostEventQueue;
  readonly causes: EventCauses;
  /** Whether no command was under way when an earlier process of the agent ended: then what happened since was none of ours. */
  readonly nothingLeft: boolean;
  readonly position: Pick<EventPosition, "beganNs" | "takenNs" | "begin">;
  /** Adds what the agent knows beyond the engine: `protected`, `observed_time`. */
  readonly complete: (container: EngineContainer) => EngineContainer;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/** Whether the engine answers; "unknown" until it was asked once. */
export type EngineHealth = "unknown" | "available" | "unavailable";

const backoff = { baseMs: 200, capMs: 5000 };
const settledMs = 5000;

/** So much is asked for again, because an engine may give out two events in another order than that of their times. */
const overlapNs = 1_000_000_000n;

/**
 * Keeps the mirror equal to the engine: a list when its event stream opens, then a look at each container that an
 * event names. When the stream breaks it says so, tries again for ever, and takes a fresh list once it is back. Each stream goes on
 * where the one before broke, the first one where an earlier process of the agent was, as far as the engine still knows.
 */
export class EngineFollower {
  readonly #options: EngineFollowerOptions;
  readonly #healthListeners = new Set<() => void>();
  readonly #recent = new RecentEvents();
  /** The time of the last event that was seen, by the engine's clock. */
  #seenNs: bigint | undefined;
  #listeningNs = 0n;
  /** How often the event stream was opened. */
  #listened = 0;
  #health: EngineHealth = "unknown";

  constructor(options: EngineFollowerOptions) {
    this.#options = options;
  }

  /** Whether the engine answers. */
  get health(): EngineHealth {
    return this.#health;
  }

  /** Calls back when the health changes, until the returned function is called. */
  onHealth(listener: () => void): () => void {
    this.#healthListeners.add(listener);
    return () => this.#healthListeners.delete(listener);
  }

  /** Follows until the signal aborts, then resolves. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, random } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const startedAt = clock.monotonic();
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (clock.monotonic() - startedAt >= settledMs) failures = 0;
        const waitMs = fullJitterMs(failures, backoff, random);
        failures += 1;
        logger.warn(
          { err: error, waitMs: Math.round(waitMs) },
          "the engine cannot be followed, trying again",
        );
        this.#setHealth("unavailable");
        await clock.sleep(waitMs, signal).catch(() => undefined);
      }
    }
  }

  async #follow(parent: AbortSignal): Promise<void> {
    const { engine, logger } = this.#options;
    const following = linkSignal(parent);
    const refresher = new ContainerRefresher(this.#options, following.signal);
    let listing: Promise<void> = Promise.resolve();
    try {
      for await (const notice of engine.watch(following.signal, this.#sinceNs())) {
        // Events go on being read while the list is taken; what they name is looked at after it.
        if (notice.kind === "listening") {
          this.#listening(notice.timeNs);
          listing = this.#list(refresher, following.signal).catch((error: unknown) => following.abort(error));
        } else if (notice.kind === "asked") {
          this.#options.causes.asked(notice.containerId);
        } else {
          await this.#take(notice.event, refresher, following.signal);
        }
      }
      following.signal.throwIfAborted();
      throw new FleetError("ENGINE_UNAVAILABLE", "the engine's event stream ended");
    } finally {
      following.abort(new FleetError("ENGINE_UNAVAILABLE", "the engine's event stream ended"));
      following.release();
      await Promise.all([listing, refresher.done()]);
      logger.debug("stopped following the engine");
    }
  }

  #sinceNs(): bigint | undefined {
    const knownNs = this.#seenNs ?? this.#options.position.takenNs;
    if (knownNs === undefined) return undefined;
    const sinceNs = knownNs - overlapNs;
    const { beganNs = 0n } = this.#options.position;
    return sinceNs < beganNs ? beganNs : sinceNs;
  }

  #listening(timeNs: bigint): void {
    this.#listeningNs = timeNs;
    this.#listened += 1;
    if (this.#sinceNs() === undefined && timeNs > 0n) this.#seenNs = timeNs;
    this.#options.position.begin(timeNs);
  }

  async #take(event: EngineEvent, refresher: ContainerRefresher, signal: AbortSignal): Promise<void> {
    if (!this.#recent.isNew(event)) return;
    refresher.refresh(event.containerId);
    const cause = await this.#options.causes.causeOf(event, signal);
    this.#seenNs = event.timeNs;
    const caughtUp = event.timeNs < this.#listeningNs;
    this.#options.events.push({ ...event, caughtUp, cause: caughtUp ? this.#lateCause(cause) : cause });
  }

  // What a command did while nobody listened is told too late to be known for its own: only what happened while there was no agent is
  // certainly somebody else's.
  #lateCause(cause: EventCause): EventCause {
    const isCertain = this.#listened === 1 && this.#options.nothingLeft;
    return cause.kind === "outside" && !isCertain ? { kind: "none" } : cause;
  }

  async #list(refresher: ContainerRefresher, signal: AbortSignal): Promise<void> {
    const containers = await this.#options.engine.listContainers(signal);
    signal.throwIfAborted();
    this.#options.mirror.replace(containers.map(this.#options.complete));
    this.#setHealth("available");
    refresher.begin();
    this.#options.logger.info({ containers: containers.length }, "following the engine");
  }

  #setHealth(health: EngineHealth): void {
    if (this.#health === health) return;
    this.#health = health;
    for (const listener of this.#healthListeners) listener();
  }
}
