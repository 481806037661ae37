import { constants } from "node:os";
import type { Clock } from "../../resilience/clock.ts";
import { linkSignal } from "../../resilience/signals.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

const { SIGKILL } = constants.signals;

/**
 * One run of a simulated process, from start to end. It ends by itself, by a signal, or by `abandon`; `ended` settles on
 * each of these ways.
 */
export class SimulatedRun {
  /** Resolves when the process has ended and its end was told. */
  readonly ended: Promise<void>;
  readonly #process: SimulatedProcess;
  readonly #clock: Clock;
  readonly #onEnd: (exitCode: number) => void;
  readonly #ended = Promise.withResolvers<void>();
  readonly #lifetime = new AbortController();
  #over = false;
  #frozen = false;
  /** Its time came while it was frozen. */
  #due = false;

  /** `onEnd` is called once, unless the run is abandoned. */
  constructor(process: SimulatedProcess, clock: Clock, onEnd: (exitCode: number) => void) {
    this.#process = process;
    this.#clock = clock;
    this.#onEnd = onEnd;
    this.ended = this.#ended.promise;
    if (process.lifetimeMs !== undefined) {
      void this.#live(process.lifetimeMs);
    }
  }

  /** Sends a signal. A frozen process hears only SIGKILL, and the others when it thaws; here they are lost. */
  signal(signalNumber: number): void {
    const exitCode = this.#process.exitCodeOn(signalNumber);
    if (exitCode !== undefined && (!this.#frozen || signalNumber === SIGKILL)) {
      this.#end(exitCode);
    }
  }

  /** Sends the signal, waits so long for the end, then kills. Rejects with the reason of the signal, killing nothing. */
  async stop(signalNumber: number, graceMs: number, abort: AbortSignal): Promise<void> {
    this.signal(signalNumber);
    const waiting = linkSignal(abort);
    const timer = this.#clock.sleep(graceMs, waiting.signal);
    try {
      await Promise.race([this.ended, timer]);
    } finally {
      waiting.abort(new Error("the wait is over"));
      waiting.release();
      timer.catch(() => {});
    }
    this.signal(SIGKILL);
  }

  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    if (this.#due) {
      this.#end(this.#process.exitCode);
    }
  }

  /** Ends without a word, with the engine. */
  abandon(): void {
    this.#over = true;
    this.#lifetime.abort();
    this.#ended.resolve();
  }

  async #live(lifetimeMs: number): Promise<void> {
    try {
      await this.#clock.sleep(lifetimeMs, this.#lifetime.signal);
    } catch {
      // It ended before its time.
      return;
    }
    this.#due = true;
    if (!this.#frozen) {
      this.#end(this.#process.exitCode);
    }
  }

  #end(exitCode: number): void {
    if (!this.#over) {
      this.#over = true;
      this.#lifetime.abort();
      this.#onEnd(exitCode);
      this.#ended.resolve();
    }
  }
}
