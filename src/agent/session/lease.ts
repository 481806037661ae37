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
  #sleeping: LinkedSignal | undefined;

  constructor(clock: Clock, settings: LeaseSettings) {
    this.#clock = clock;
    this.#settings = settings;
    this.#heardMs = clock.monotonic();
  }

  /** Something was heard. */
  renew(): void {
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
      const now = this.#clock.monotonic();
      if (now - this.#heardMs >= this.#settings.leaseMs) {
        const message = `nothing was heard of the control plane for ${this.#settings.leaseMs} ms`;
        throw new FleetError("LEASE_EXPIRED", message);
      }
      if (now - beatMs < this.#settings.heartbeatMs) continue;
      beatMs = now;
      beat();
    }
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
