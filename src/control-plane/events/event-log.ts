import { setImmediate as turn } from "node:timers/promises";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { portions } from "../../resilience/portions.ts";
import type { EventRecord, NewEvent } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import { EventSlices } from "./event-slices.ts";
import { type EventFilter, eventTest } from "./event-filter.ts";
import { NewsBell } from "./news-bell.ts";
import { RecentEvents } from "./recent-events.ts";

/** An event as its author knows it; what is left out is empty, and times are now. */
export type EventDraft = Partial<NewEvent> & Pick<NewEvent, "type">;

/** What a watcher is told. Without events it says only how far the watcher has come. */
export interface EventNotice {
  readonly events: readonly EventRecord[];
  /** Every matching event up to this sequence has been told. Good to come back with. */
  readonly cursor: number;
}

/** What an event log needs. */
export interface EventLogOptions {
  readonly storage: Pick<Storage, "events" | "commit" | "onEvents">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of every event that is made. Must not throw. */
  readonly onMade?: (event: NewEvent) => void;
  /** How many of the newest events are held while somebody watches. 4,096 by default, a few megabytes. */
  readonly maxRecent?: number;
}

/** How long a watcher hears nothing before it is told that there is nothing to hear. */
const heartbeatMs = 15_000;

/** How many events a watcher reads at once. Bounds what a slow one can hold in memory. */
const eventsPerRead = 256;

/** How many events all watchers together are told, about, in one turn of the event loop. None of it would wait by itself, and commands would. */
const eventsPerTurn = 64;

/**
 * Each host's events are written to pages of their own in every index, so that few of many hosts cost nearly as much as many, and a commit
 * takes the event loop for a millisecond or two.
 */
const slicing = { maxEvents: 4_096, gatherMs: 20, storm: { events: 128, gatherMs: 250 } };

/** The fleet's facts, in the order of their sequence: written here, read and followed here. */
export class EventLog {
  readonly #storage: EventLogOptions["storage"];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #bell = new NewsBell();
  readonly #recent: RecentEvents;
  readonly #slices: EventSlices;
  readonly #watchers = new Set<{ cursor: number }>();
  readonly #onMade: ((event: NewEvent) => void) | undefined;
  readonly #unsubscribe: () => void;

  constructor({ storage, clock, logger, onMade, maxRecent = 4_096 }: EventLogOptions) {
    this.#recent = new RecentEvents(maxRecent);
    this.#slices = new EventSlices({ ...slicing, commit: (events) => storage.commit({ events }) });
    this.#onMade = onMade;
    this.#storage = storage;
    this.#clock = clock;
    this.#logger = logger;
    this.#unsubscribe = storage.onEvents((stored) => this.#stored(stored));
    // Where an earlier run left the log. Whoever follows it asks again, and hears of a failure.
    storage.events.newest().then(
      (newest) => this.#bell.ring(newest),
      () => undefined,
    );
  }

  /** Where the log stands as far as this process has seen, who follows it, and how many events the slowest of them is behind. */
  get figures(): { readonly newest: number; readonly watchers: number; readonly lag: number } {
    const { newest } = this.#bell;
    const slowest = Math.min(newest, ...[...this.#watchers].map(({ cursor }) => cursor));
    return { newest, watchers: this.#watchers.size, lag: newest - slowest };
  }

  /** Fills in what the draft leaves out, for callers that store the event in a transaction of their own. */
  make(draft: EventDraft): NewEvent {
    const now = this.#clock.now();
    const event = {
      eventTime: now,
      recordTime: now,
      hostId: "",
      hostName: "",
      containerId: "",
      containerName: "",
      commandId: "",
      actor: "",
      attributes: {},
      ...draft,
    };
    this.#onMade?.(event);
    return event;
  }

  /** Writes an event with the commit of this tick. Never throws: an event that cannot be stored is logged, and lost. */
  record(draft: EventDraft): void {
    const events = [this.make(draft)];
    void this.#isStored(events, this.#storage.commit({ events }));
  }

  /**
   * Writes many events that may wait some milliseconds, in their order and that of the calls; commands have their turn meanwhile. Resolves to whether they
   * are stored; otherwise they were logged. Never rejects.
   */
  recordMany(drafts: readonly EventDraft[]): Promise<boolean> {
    const events = drafts.map((draft) => this.make(draft));
    return this.#isStored(events, this.#slices.add(events));
  }

  /** Stored events after a sequence that match, oldest first. */
  list(filter: EventFilter, afterSequence: number, limit: number): Promise<EventRecord[]> {
    return this.#storage.events.list({ ...filter, afterSequence, limit });
  }

  /**
   * Follows the events that match, by a filter that may change from one read to the next: each after `afterSequence` once and in order, at the watcher's own
   * speed: from memory while it keeps up, else from storage. 0 begins with the oldest that is kept; undefined begins after the newest at the moment of this call. The first notice comes at
   * once and is empty, and so is one after every 15 s without another.
   *
   * Ends by throwing the reason of the signal; `CURSOR_EXPIRED` when events after the watcher's position are no longer
   * kept, or when its position is not one of this log; `DRAINING` when the log is closed.
   */
  watch(
    filter: EventFilter | (() => EventFilter),
    afterSequence: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<EventNotice, never> {
    // Asked for now and not at the first read: what happens in between belongs to the watcher.
    const newest = this.#storage.events.newest();
    // A watcher that never reads leaves nobody else to take the rejection.
    newest.catch(() => undefined);
    const current = typeof filter === "function" ? filter : () => filter;
    return this.#follow(current, afterSequence, newest, signal);
  }

  /** Ends all watchers with `DRAINING`. What was recorded is still written. */
  close(): void {
    this.#slices.close();
    this.#unsubscribe();
    this.#bell.close(new FleetError("DRAINING", "the control plane is going away"));
  }

  async #isStored(events: readonly NewEvent[], stored: Promise<void>): Promise<boolean> {
    try {
      await stored;
      return true;
    } catch (error) {
      this.#logger.error({ err: error, events }, "events could not be stored");
      return false;
    }
  }

  #stored(events: readonly EventRecord[]): void {
    // Nothing is held for nobody.
    if (this.#watchers.size > 0) for (const event of events) this.#recent.add(event);
    this.#bell.ring(events.at(-1)?.sequence ?? 0);
  }

  async *#follow(
    filter: () => EventFilter,
    afterSequence: number | undefined,
    newestAtCall: Promise<number>,
    signal: AbortSignal,
  ): AsyncGenerator<EventNotice, never> {
    const position = { cursor: await this.#start(afterSequence, newestAtCall) };
    this.#watchers.add(position);
    try {
      return yield* this.#followFrom(position, filter, signal);
    } finally {
      this.#watchers.delete(position);
      if (this.#watchers.size === 0) this.#recent.clear();
    }
  }

  async *#followFrom(
    position: { cursor: number },
    filter: () => EventFilter,
    signal: AbortSignal,
  ): AsyncGenerator<EventNotice, never> {
    yield { events: [], cursor: position.cursor };
    let heartbeatAt = this.#clock.monotonic() + heartbeatMs;
    for (;;) {
      const upTo = await this.#bell.wait(position.cursor, heartbeatAt, this.#clock, signal);
      const events = upTo > position.cursor ? await this.#read(filter(), position.cursor, upTo) : [];
      const share = Math.max(1, Math.floor(eventsPerTurn / this.#watchers.size));
      for (const told of portions(events, share)) {
        position.cursor = told.at(-1)?.sequence ?? position.cursor;
        yield { events: told, cursor: position.cursor };
        await turn();
      }
      if (events.length < eventsPerRead) {
        position.cursor = Math.max(position.cursor, upTo);
      }
      if (events.length === 0) {
        if (this.#clock.monotonic() < heartbeatAt) {
          continue;
        }
        yield { events: [], cursor: position.cursor };
      }
      heartbeatAt = this.#clock.monotonic() + heartbeatMs;
    }
  }

  async #start(afterSequence: number | undefined, newestAtCall: Promise<number>): Promise<number> {
    const newest = await newestAtCall;
    this.#bell.ring(newest);
    if (afterSequence === undefined) {
      return newest;
    }
    if (afterSequence > newest) {
      throw expired(afterSequence, `the newest event is ${newest}, so this sequence is of another log`);
    }
    await this.#checkKept(afterSequence);
    return afterSequence;
  }

  async #read(filter: EventFilter, cursor: number, upTo: number): Promise<EventRecord[]> {
    const recent = this.#recent.between(cursor, upTo, { test: eventTest(filter), limit: eventsPerRead });
    if (recent !== undefined) return recent;
    const query = { ...filter, afterSequence: cursor, upTo, limit: eventsPerRead };
    const events = await this.#storage.events.list(query);
    // After the read, not before it: what is pruned in between would be missed without a word.
    await this.#checkKept(cursor);
    return events;
  }

  async #checkKept(cursor: number): Promise<void> {
    // 0 is not a position but a wish: whatever is kept.
    if (cursor === 0) {
      return;
    }
    const oldest = await this.#storage.events.oldest();
    if (cursor + 1 < oldest) {
      throw expired(cursor, `the oldest event that is still kept is ${oldest}`);
    }
  }
}

function expired(cursor: number, why: string): FleetError {
  return new FleetError(
    "CURSOR_EXPIRED",
    `events cannot be followed from sequence ${cursor}: ${why}; list the events or start anew`,
    { metadata: { cursor: `${cursor}` } },
  );
}
