import type { Clock } from "../../resilience/clock.ts";
import { linkSignal } from "../../resilience/signals.ts";

/**
 * Tells any number of waiters that the log has grown. Rings are coalesced: whoever was busy meanwhile learns only
 * the newest sequence, and never waits when it is behind already.
 */
export class NewsBell {
  #newest = 0;
  #closed: Error | undefined;
  readonly #waiters = new Set<() => void>();

  /** The newest sequence that it was told. */
  get newest(): number {
    return this.#newest;
  }

  /** The log has grown up to this sequence. */
  ring(newest: number): void {
    if (newest > this.#newest) {
      this.#newest = newest;
      this.#wakeAll();
    }
  }

  /** Rejects everybody who waits, and everybody who will. */
  close(reason: Error): void {
    this.#closed ??= reason;
    this.#wakeAll();
  }

  /**
   * Waits until the log is longer than `known`, or until the moment `until` of the clock's monotonic time. Resolves to the newest
   * sequence. Rejects with the signal's reason, or with that of `close`.
   */
  async wait(known: number, until: number, clock: Clock, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    this.#throwIfClosed();
    if (this.#newest > known) {
      return this.#newest;
    }
    const timer = linkSignal(signal);
    const wake = () => timer.abort(woken);
    this.#waiters.add(wake);
    try {
      await clock.sleep(Math.max(0, until - clock.monotonic()), timer.signal);
    } catch (error) {
      if (error !== woken) {
        throw error;
      }
    } finally {
      this.#waiters.delete(wake);
      timer.release();
    }
    this.#throwIfClosed();
    return this.#newest;
  }

  #throwIfClosed(): void {
    if (this.#closed !== undefined) {
      throw this.#closed;
    }
  }

  #wakeAll(): void {
    for (const wake of this.#waiters) {
      wake();
    }
  }
}

const woken = new Error("woken by news");
