import type { TimerWheel, WheelTimer } from "../../resilience/timer-wheel.ts";

/** How long a write may wait at least; at most twice that. */
const lateMs = 500;

/**
 * Commands whose latest step can wait to be written, because losing it loses nothing: most of them end before their time comes, and
 * the end is written with all steps before it. One timer for all of them, which runs only while something waits.
 */
export class LateWrites {
  readonly #wheel: TimerWheel;
  readonly #write: (commandId: string) => Promise<void>;
  #younger = new Set<string>();
  #older = new Set<string>();
  #timer: WheelTimer | undefined;

  /** `write` is called once for each command that was not taken back in time. It must neither throw nor reject. */
  constructor(parts: { wheel: TimerWheel; write: (commandId: string) => Promise<void> }) {
    this.#wheel = parts.wheel;
    this.#write = parts.write;
  }

  /** The command is to be written when its time comes. */
  add(commandId: string): void {
    if (!this.#older.has(commandId)) this.#younger.add(commandId);
    this.#timer ??= this.#wheel.schedule(lateMs, () => this.#turn());
  }

  /** The command is being written anyway. */
  delete(commandId: string): void {
    if (!this.#younger.delete(commandId)) this.#older.delete(commandId);
  }

  /** Writes everything that waits. More may come. Resolves when that is written, or cannot be. */
  async flush(): Promise<void> {
    const due = [...this.#older, ...this.#younger];
    this.#older.clear();
    this.#younger.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    await Promise.all(due.map((commandId) => this.#write(commandId)));
  }

  #turn(): void {
    const due = this.#older;
    this.#older = this.#younger;
    this.#younger = new Set();
    this.#timer = this.#older.size === 0 ? undefined : this.#wheel.schedule(lateMs, () => this.#turn());
    for (const commandId of due) void this.#write(commandId);
  }
}
