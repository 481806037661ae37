import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { linkSignal, type LinkedSignal } from "../../resilience/signals.ts";

/** How often to speak, and how long silence is allowed. In milliseconds. */
export interface LeaseSettings {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
}

/** Keeps a session alive and notices when the other side is not. One timer for both. */
export class Lease {
  readonly #clock: Clock;
  #settings: LeaseSettings;
  #heardMs: number;
  #isOver = false;
  #sleeping: LinkedSignal | undefined;

  /** `heardMs`: when the control plane spoke at the earliest, by the monotonic clock. */
  constructor(clock: Clock, settings: LeaseSettings, heardMs: number = clock.monotonic()) {
    this.#clock = clock;
    this.#settings = settings;
    this.#heardMs = heardMs;
  }

  /** How long nothing was heard, in milliseconds. */
  get silentMs(): number {
    return this.#clock.monotonic() - this.#heardMs;
  }

  /** Whether the silence was too long. What is heard afterwards changes nothing any more: it may have waited while this process stood still. */
  get isOver(): boolean {
    this.#isOver ||= this.silentMs >= this.#settings.leaseMs;
    return this.#isOver;
  }

  /** Something was heard. Throws `LEASE_EXPIRED` when it came too late. */
  renew(): void {
    if (this.isOver) throw this.#expired();
    this.#heardMs = this.#clock.monotonic();
  }

  /** Takes other settings, from now on. */
  change(settings: Partial<LeaseSettings>): void {
    this.#settings = { ...this.#settings, ...settings };
    this.#sleeping?.abort(new Error("the settings have changed"));
  }

  /** Calls `beat` at each interval. Rejects with `LEASE_EXPIRED` after silence, and with the signal's reason. */
  async run(beat: () => void, signal: AbortSignal): Promise<never> {
    let beatMs = this.#clock.monotonic();
    for (;;) {
      const { heartbeatMs, leaseMs } = this.#settings;
      await this.#sleepUntil(Math.min(beatMs + heartbeatMs, this.#heardMs + leaseMs), signal);
      signal.throwIfAborted();
      if (this.isOver) throw this.#expired();
      const now = this.#clock.monotonic();
      if (now - beatMs < this.#settings.heartbeatMs) continue;
      beatMs = now;
      beat();
    }
  }

  #expired(): FleetError {
    const message = `nothing was heard of the control plane for ${this.#settings.leaseMs} ms`;
    return new FleetError("LEASE_EXPIRED", message);
  }

  async #sleepUntil(timeMs: number, signal: AbortSignal): Promise<void> {
    const sleeping = linkSignal(signal);
    this.#sleeping = sleeping;
    try {
      await this.#clock.sleep(Math.max(1, Math.ceil(timeMs - this.#clock.monotonic())), sleeping.signal);
    } catch {
      // Whoever called looks at the clock and the signal anew.
    } finally {
      sleeping.release();
      this.#sleeping = undefined;
    }
  }
}
