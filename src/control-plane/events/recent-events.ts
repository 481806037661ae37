import type { EventRecord } from "../../storage/records.ts";

/**
 * The newest events, as they were stored, in memory: a watcher that keeps up needs no database. Bounded; the newest takes the place of the oldest.
 * Where one is missing between two, those before the gap are forgotten.
 */
export class RecentEvents {
  readonly #limit: number;
  /** Each at its sequence modulo the limit. */
  readonly #places: EventRecord[] = [];
  #oldest = 1;
  #newest = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds the newest. One that comes later than a newer one is left out. */
  add(event: EventRecord): void {
    const { sequence } = event;
    if (sequence <= this.#newest) return;
    if (sequence !== this.#newest + 1) this.#oldest = sequence;
    this.#newest = sequence;
    this.#oldest = Math.max(this.#oldest, sequence - this.#limit + 1);
    this.#places[sequence % this.#limit] = event;
  }

  /** Forgets all. */
  clear(): void {
    this.#places.length = 0;
    this.#oldest = this.#newest + 1;
  }

  /** The first events after a sequence, up to another, that pass the test. Undefined: not all of these are here. */
  between(
    after: number,
    upTo: number,
    { test, limit }: { readonly test: (event: EventRecord) => boolean; readonly limit: number },
  ): EventRecord[] | undefined {
    if (after + 1 < this.#oldest || upTo > this.#newest) return undefined;
    const found: EventRecord[] = [];
    for (let sequence = after + 1; sequence <= upTo && found.length < limit; sequence += 1) {
      const event = this.#places[sequence % this.#limit];
      if (event !== undefined && test(event)) found.push(event);
    }
    return found;
  }
}
