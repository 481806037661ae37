import type { Clock } from "./clock.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** When failures begin to cost time. */
export interface FailureTallySettings {
  /** How many failures within a minute cost nothing. Infinity: none ever does. */
  readonly free: number;
  /** What each further one adds to the delay, in milliseconds. */
  readonly stepMs: number;
  /** The longest delay, in milliseconds. */
  readonly maxMs: number;
}

const windowMs = 60_000;

/** Counts failures by who failed, and says how long each is to wait before the next try. Failures are forgotten after a minute. */
export class FailureTally {
  readonly #settings: FailureTallySettings;
  readonly #clock: Clock;
  readonly #wheel: Pick<TimerWheel, "schedule">;
  readonly #failedAt = new Map<string, number[]>();
  #sweeping = false;

  constructor(parts: { settings: FailureTallySettings; clock: Clock; wheel: Pick<TimerWheel, "schedule"> }) {
    this.#settings = parts.settings;
    this.#clock = parts.clock;
    this.#wheel = parts.wheel;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#failedAt.size;
  }

  /** Notes a failure. */
  failed(who: string): void {
    const { free, stepMs, maxMs } = this.#settings;
    if (free === Number.POSITIVE_INFINITY) return;
    // No more than decide the longest delay, however many there were.
    const most = free + Math.ceil(maxMs / stepMs);
    this.#failedAt.set(who, [...this.#recent(who), this.#clock.monotonic()].slice(-most));
    this.#sweepLater();
  }

  /** How long to wait before the next try, in milliseconds. */
  delayMs(who: string): number {
    const { free, stepMs, maxMs } = this.#settings;
    return Math.min(maxMs, Math.max(0, this.#recent(who).length - free) * stepMs);
  }

  #recent(who: string): number[] {
    const since = this.#clock.monotonic() - windowMs;
    return (this.#failedAt.get(who) ?? []).filter((time) => time > since);
  }

  #sweepLater(): void {
    if (this.#sweeping) return;
    this.#sweeping = true;
    this.#wheel.schedule(windowMs, () => {
      this.#sweeping = false;
      for (const who of this.#failedAt.keys()) {
        if (this.#recent(who).length === 0) this.#failedAt.delete(who);
      }
      if (this.#failedAt.size > 0) this.#sweepLater();
    });
  }
}
