import { portions } from "../../resilience/portions.ts";
import type { NewEvent } from "../../storage/records.ts";

/** Where slices go. */
export interface EventSlicesOptions {
  /** Stores events with all that is given in the same turn of the event loop. */
  readonly commit: (events: readonly NewEvent[]) => Promise<void>;
  /** How many events are stored at once, about. */
  readonly maxEvents: number;
  /** How long few events wait for others, in milliseconds. */
  readonly gatherMs: number;
  /** The same after a slice of at least so many: then there is a storm, and commits are to take little of the time. */
  readonly storm: { readonly events: number; readonly gatherMs: number };
}

interface Portion extends PromiseWithResolvers<void> {
  readonly events: readonly NewEvent[];
}

/**
 * Stores what may wait for some milliseconds, in the order in which it came, and in few transactions one after the other: few events wait for
 * more of them, so that each does not cost a commit, and of many no more are taken at once than everybody can wait for. Every promise of `add`
 * settles.
 */
export class EventSlices {
  readonly #options: EventSlicesOptions;
  #waiting: Portion[] = [];
  #waitingEvents = 0;
  #isStoring = false;
  #isStorm = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EventSlicesOptions) {
    this.#options = options;
  }

  /** Resolves when all are stored. Rejects when some are not. */
  async add(events: readonly NewEvent[]): Promise<void> {
    const { maxEvents } = this.#options;
    const added = Array.from(portions(events, maxEvents), (portion) => ({
      events: portion,
      ...Promise.withResolvers<void>(),
    }));
    this.#waiting.push(...added);
    this.#waitingEvents += events.length;
    this.#schedule();
    await Promise.all(added.map(({ promise }) => promise));
  }

  /** Stores all that waits in one go, and what comes later without a wait. */
  close(): void {
    this.#isClosed = true;
    this.#schedule();
  }

  #schedule(): void {
    const { maxEvents, gatherMs, storm } = this.#options;
    if (this.#isClosed) {
      clearTimeout(this.#timer);
      this.#commit(this.#take(Number.POSITIVE_INFINITY));
    } else if (this.#waitingEvents >= maxEvents) {
      if (!this.#isStoring) void this.#storeNext();
    } else if (this.#waitingEvents > 0) {
      this.#timer ??= setTimeout(() => void this.#storeNext(), this.#isStorm ? storm.gatherMs : gatherMs);
    }
  }

  async #storeNext(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isStoring) return;
    this.#isStoring = true;
    const { maxEvents, storm } = this.#options;
    const waiting = this.#waitingEvents;
    const slice = this.#take(maxEvents);
    this.#isStorm = waiting - this.#waitingEvents >= storm.events;
    this.#commit(slice);
    await Promise.allSettled(slice.map(({ promise }) => promise));
    this.#isStoring = false;
    this.#schedule();
  }

  #take(maxEvents: number): Portion[] {
    let count = 0;
    let events = 0;
    for (const portion of this.#waiting) {
      if (count > 0 && events + portion.events.length > maxEvents) break;
      events += portion.events.length;
      count += 1;
    }
    this.#waitingEvents -= events;
    return this.#waiting.splice(0, count);
  }

  /** Each by itself, so that an odd one costs no others. */
  #commit(slice: readonly Portion[]): void {
    for (const { events, resolve, reject } of slice) this.#options.commit(events).then(resolve, reject);
  }
}
