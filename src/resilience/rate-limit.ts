import type { Clock } from "./clock.ts";

/** How often somebody may do something. */
export interface RateLimitSettings {
  /** How often in a second, in the long run. 0: without limit. */
  readonly perSecond: number;
  /** How often at once, after a while without. At least 1. */
  readonly burst: number;
}

const tidyEveryMs = 1_000;

/**
 * A token bucket for each name, kept as one number: the moment at which the bucket is full again (the "generic cell rate
 * algorithm"). Who has a full one is not remembered.
 */
export class RateLimit {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #depthMs: number;
  readonly #fullAt = new Map<string, number>();
  #tidyAt = 0;

  constructor({ perSecond, burst }: RateLimitSettings, clock: Clock) {
    this.#clock = clock;
    this.#intervalMs = perSecond === 0 ? 0 : 1_000 / perSecond;
    this.#depthMs = this.#intervalMs * burst;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#fullAt.size;
  }

  /** Takes one from the name's bucket. 0: it may; otherwise nothing is taken, and it is to wait for so many milliseconds. */
  take(name: string): number {
    if (this.#intervalMs === 0) return 0;
    const now = this.#clock.monotonic();
    this.#tidy(now);
    const fullAt = Math.max(now, this.#fullAt.get(name) ?? now) + this.#intervalMs;
    const waitMs = fullAt - now - this.#depthMs;
    // What is less than this comes from adding up fractions.
    if (waitMs > 1e-6) return waitMs;
    this.#fullAt.set(name, fullAt);
    return 0;
  }

  #tidy(now: number): void {
    if (now < this.#tidyAt) return;
    this.#tidyAt = now + tidyEveryMs;
    for (const [name, fullAt] of this.#fullAt) if (fullAt <= now) this.#fullAt.delete(name);
  }
}
