import type { Clock } from "../../resilience/clock.ts";
import { addressSite } from "../../rpc/address-site.ts";

/** How many attempts may fail from one address before the rest of a minute is spoilt for it. */
export const maxFailuresEach = 20;

const windowMs = 60_000;
const maxAddresses = 10_000;

interface Window {
  readonly begun: number;
  failures: number;
}

/**
 * Counts failed attempts to show who one is, by the address they come from; that of IPv6 by the network, where a host has
 * many. Bounded: of too many addresses the one that began longest ago is forgotten.
 */
export class FailedAttempts {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the address has had enough of them. Otherwise how many milliseconds it has to wait; 0: none. */
  waitMs(address: string): number {
    const window = this.#current(addressSite(address));
    return window === undefined || window.failures < maxFailuresEach
      ? 0
      : window.begun + windowMs - this.#clock.monotonic();
  }

  /** Counts an attempt that has not failed yet, so that many at once are not looked at all. Returns how many there are. */
  add(address: string): number {
    const place = addressSite(address);
    const window = this.#current(place) ?? this.#begin(place);
    window.failures += 1;
    return window.failures;
  }

  /** The attempt did not fail after all. */
  forgive(address: string): void {
    const window = this.#current(addressSite(address));
    if (window !== undefined) window.failures = Math.max(0, window.failures - 1);
  }

  #current(place: string): Window | undefined {
    const window = this.#windows.get(place);
    return window !== undefined && this.#clock.monotonic() < window.begun + windowMs ? window : undefined;
  }

  #begin(place: string): Window {
    this.#windows.delete(place);
    const [oldest] = this.#windows.keys();
    if (this.#windows.size >= maxAddresses && oldest !== undefined) this.#windows.delete(oldest);
    const window = { begun: this.#clock.monotonic(), failures: 0 };
    this.#windows.set(place, window);
    return window;
  }
}
