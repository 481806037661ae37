import type { Clock } from "./clock.ts";

const windowMs = 60_000;

interface Minute {
  readonly begun: number;
  failures: number;
}

/** What a tally of failures is made of. */
export interface FailureTallyParts {
  readonly clock: Clock;
  /** How many are remembered; of too many, the one whose minute began longest ago is forgotten. Default 10,000. */
  readonly maxRemembered?: number;
}

/**
 * Counts failures by who failed, within a minute that begins with the first of them; then they are forgotten. What follows
 * from them is for the owner to say.
 */
export class FailureTally {
  readonly #clock: Clock;
  readonly #maxRemembered: number;
  // In the order in which the minutes began, so that those that are over come first.
  readonly #minutes = new Map<string, Minute>();

  constructor({ clock, maxRemembered = 10_000 }: FailureTallyParts) {
    this.#clock = clock;
    this.#maxRemembered = maxRemembered;
  }

  /** How many are remembered. Those whose minute is over may be among them until the next failure of somebody. */
  get size(): number {
    return this.#minutes.size;
  }

  /** How many failures there are. */
  count(who: string): number {
    return this.#current(who)?.failures ?? 0;
  }

  /** How long they count, in milliseconds. 0: there are none. */
  endsInMs(who: string): number {
    const minute = this.#current(who);
    return minute === undefined ? 0 : minute.begun + windowMs - this.#clock.monotonic();
  }

  /** Counts a failure, or an attempt that has not failed yet, so that many at once count, too. Returns how many there are. */
  failed(who: string): number {
    const minute = this.#current(who) ?? this.#begin(who);
    minute.failures += 1;
    return minute.failures;
  }

  /** Counts one failure less: the attempt did not fail after all. */
  forgive(who: string): void {
    const minute = this.#current(who);
    if (minute !== undefined) minute.failures = Math.max(0, minute.failures - 1);
  }

  #current(who: string): Minute | undefined {
    const minute = this.#minutes.get(who);
    return minute !== undefined && this.#isOn(minute) ? minute : undefined;
  }

  #begin(who: string): Minute {
    this.#minutes.delete(who);
    for (const [other, minute] of this.#minutes) {
      if (this.#isOn(minute) && this.#minutes.size < this.#maxRemembered) break;
      this.#minutes.delete(other);
    }
    const minute = { begun: this.#clock.monotonic(), failures: 0 };
    this.#minutes.set(who, minute);
    return minute;
  }

  #isOn({ begun }: Minute): boolean {
    return this.#clock.monotonic() < begun + windowMs;
  }
}
