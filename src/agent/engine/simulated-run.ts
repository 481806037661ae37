import { constants } from "node:os";
import type { Clock } from "../../resilience/clock.ts";
import { linkSignal, untilAborted } from "../../resilience/signals.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

const { SIGKILL } = constants.signals;

/** What a process does while it runs. Resolves to its exit code; when the signal aborts it was ended, and nobody listens. */
export type SimulatedWork = (life: {
  readonly signal: AbortSignal;
  /** Resolves at once, or when the process is not frozen any more. */
  thawed(): Promise<void>;
}) => Promise<number>;

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
  #thaw = Promise.withResolvers<void>();
  /** With what it ended by itself while it was frozen. */
  #due: number | undefined;

  /** `onEnd` is called once, unless the run is abandoned. Without any work the process only lives its time. */
  constructor(
    process: SimulatedProcess,
    clock: Clock,
    onEnd: (exitCode: number) => void,
    work: SimulatedWork | undefined,
  ) {
    this.#process = process;
    this.#clock = clock;
    this.#onEnd = onEnd;
    this.ended = this.#ended.promise;
    this.#thaw.resolve();
    const { lifetimeMs, exitCode } = process;
    if (work !== undefined) {
      void this.#live(work);
    } else if (lifetimeMs !== undefined) {
      void this.#live(async ({ signal }) => {
        await this.#clock.sleep(lifetimeMs, signal);
        return exitCode;
      });
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
    this.#thaw = Promise.withResolvers();
  }

  thaw(): void {
    this.#frozen = false;
    this.#thaw.resolve();
    if (this.#due !== undefined) {
      this.#end(this.#due);
    }
  }

  /** Ends without a word, with the engine. */
  abandon(): void {
    this.#over = true;
    this.#lifetime.abort();
    this.#ended.resolve();
  }

  async #live(work: SimulatedWork): Promise<void> {
    let exitCode: number;
    try {
      const { signal } = this.#lifetime;
      exitCode = await work({ signal, thawed: () => untilAborted(this.#thaw.promise, signal) });
    } catch {
      // It ended before its time.
      return;
    }
    if (this.#frozen) {
      this.#due = exitCode;
    } else {
      this.#end(exitCode);
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
