/** A pending call of a wheel. */
export interface WheelTimer {
  /** Takes it back. Does nothing when it was called already. */
  cancel(): void;
}

/** A class and not a closure: there are two for each session, and one for each command. */
class Entry implements WheelTimer {
  /** On the wheel's own time, which begins with its latest start. */
  readonly dueMs: number;
  readonly callback: () => void;
  /** False once it was called or taken back. */
  pending = true;
  readonly #slot: Set<Entry>;
  readonly #forget: () => void;

  constructor(dueMs: number, callback: () => void, slot: Set<Entry>, forget: () => void) {
    this.dueMs = dueMs;
    this.callback = callback;
    this.#slot = slot;
    this.#forget = forget;
    slot.add(this);
  }

  cancel(): void {
    if (!this.pending) return;
    this.pending = false;
    this.#slot.delete(this);
    this.#forget();
  }
}

/**
 * Many timers for the price of one: leases, heartbeats and deadlines, whose exact moment does not matter. Each call
 * comes at its time or up to one slot later, never earlier. The one real timer runs only while something is pending,
 * and never keeps the process alive.
 */
export class TimerWheel {
  readonly #slotMs: number;
  readonly #slots: Set<Entry>[];
  #tick = 0;
  #startedAt = 0;
  #size = 0;
  #interval: NodeJS.Timeout | undefined;

  /** Slot width in milliseconds, and how many slots go round before far timers are looked at again. */
  constructor(slotMs = 20, slotCount = 1024) {
    this.#slotMs = slotMs;
    this.#slots = Array.from({ length: slotCount }, () => new Set<Entry>());
  }

  /** How many timers are pending. */
  get size(): number {
    return this.#size;
  }

  /** Calls back once, after at least `delayMs`. The callback must not throw. */
  schedule(delayMs: number, callback: () => void): WheelTimer {
    if (this.#interval === undefined) this.#start();
    const dueMs = this.#elapsed() + Math.max(0, delayMs);
    const entry = new Entry(dueMs, callback, this.#slotAt(Math.floor(dueMs / this.#slotMs)), this.#forgetOne);
    this.#size += 1;
    return entry;
  }

  /** Takes back all that is pending. */
  clear(): void {
    for (const slot of this.#slots) {
      for (const entry of slot) entry.cancel();
    }
  }

  #elapsed(): number {
    return performance.now() - this.#startedAt;
  }

  #slotAt(tick: number): Set<Entry> {
    const slot = this.#slots[tick % this.#slots.length];
    if (slot === undefined) throw new RangeError("a wheel has at least one slot");
    return slot;
  }

  #start(): void {
    this.#startedAt = performance.now();
    this.#tick = 0;
    this.#interval = setInterval(() => this.#turn(), this.#slotMs);
    this.#interval.unref();
  }

  readonly #forgetOne = (): void => {
    this.#size -= 1;
    if (this.#size > 0 || this.#interval === undefined) return;
    clearInterval(this.#interval);
    this.#interval = undefined;
  };

  // Begins with the slot that the turn before it ended in, where something may have become due since. A late turn (a
  // busy event loop) makes up for the slots that it missed, each at most once.
  #turn(): void {
    const now = this.#elapsed();
    const target = Math.floor(now / this.#slotMs);
    // The clock never goes back; where a test has put another in its place meanwhile, nothing is due by it.
    if (target < this.#tick) return;
    const last = Math.min(target, this.#tick + this.#slots.length - 1);
    const due: Entry[] = [];
    for (let tick = this.#tick; tick <= last; tick += 1) {
      const slot = this.#slotAt(tick);
      for (const entry of slot) {
        if (entry.dueMs > now) continue;
        slot.delete(entry);
        due.push(entry);
      }
    }
    this.#tick = target;
    for (const entry of due) this.#call(entry);
  }

  // One that is due may be taken back by another that is called before it in the same turn.
  #call(entry: Entry): void {
    if (!entry.pending) return;
    entry.pending = false;
    entry.callback();
    this.#forgetOne();
  }
}
