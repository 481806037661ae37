import { type FleetError, reasonTraits } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { type RetrySettings, retryDelayMs } from "../../resilience/retry-schedule.ts";
import type { TimerWheel, WheelTimer } from "../../resilience/timer-wheel.ts";
import type { CommandRecord } from "../../storage/records.ts";

const storeAgainMs = 1_000;

/** What open commands wait for by themselves: their expiry, their next attempt, or room for their end; one of them at a time. */
export class CommandTimers {
  readonly #retry: RetrySettings;
  readonly #wheel: TimerWheel;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #timers = new Map<string, WheelTimer>();

  constructor(parts: { retry: RetrySettings; wheel: TimerWheel; clock: Clock; random: () => number }) {
    this.#retry = parts.retry;
    this.#wheel = parts.wheel;
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  /** Calls back when the command's time is over. */
  expire(record: CommandRecord, callback: () => void): void {
    this.#set(record.id, record.expireTime - this.#clock.now(), callback);
  }

  /** Calls back when it is time for the next attempt. False, and nothing is set, when there is to be none. */
  retry(record: CommandRecord, error: FleetError, callback: () => void): boolean {
    if (!reasonTraits[error.reason].retryable) return false;
    const remainingMs = record.expireTime - this.#clock.now();
    const delayMs = retryDelayMs(record.attempt, remainingMs, this.#retry, this.#random);
    if (delayMs === undefined) return false;
    this.#set(record.id, delayMs, callback);
    return true;
  }

  /** Calls back when it is time to try again to store a command's end. */
  storeAgain(commandId: string, callback: () => void): void {
    this.#set(commandId, storeAgainMs, callback);
  }

  /** Takes a command's timer back. */
  cancel(commandId: string): void {
    this.#timers.get(commandId)?.cancel();
    this.#timers.delete(commandId);
  }

  /** Takes all of them back. */
  close(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  #set(commandId: string, delayMs: number, callback: () => void): void {
    this.cancel(commandId);
    const timer = this.#wheel.schedule(Math.max(0, delayMs), () => {
      this.#timers.delete(commandId);
      callback();
    });
    this.#timers.set(commandId, timer);
  }
}
