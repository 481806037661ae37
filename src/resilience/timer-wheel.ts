/** A pending call of a wheel. */
export interface WheelTimer {
  /** Takes it back. Does nothing when it was called already. */
  cancel(): void;
}

interface Entry extends WheelTimer {
  dueTick: number;
  callback: () => void;
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
    const elapsed = performance.now() - this.#startedAt;
    const dueTick = Math.max(this.#tick + 1, Math.ceil((elapsed + delayMs) / this.#slotMs) + 1);
    const slot = this.#slotAt(dueTick);
    const entry: Entry = {
      dueTick,
      callback,
      cancel: () => {
        if (slot.delete(entry)) this.#forgetOne();
      },
    };
    slot.add(entry);
    this.#size += 1;
    return entry;
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

  #forgetOne(): void {
    this.#size -= 1;
    if (this.#size > 0 || this.#interval === undefined) return;
    clearInterval(this.#interval);
    this.#interval = undefined;
  }

  // A late turn (a busy event loop) makes up for the slots that it missed, each at most once.
  #turn(): void {
    const target = Math.floor((performance.now() - this.#startedAt) / this.#slotMs);
    const last = Math.min(target, this.#tick + this.#slots.length);
    const due: Entry[] = [];
    for (let tick = this.#tick + 1; tick <= last; tick += 1) {
      const slot = this.#slotAt(tick);
      for (const entry of slot) {
        if (entry.dueTick > target) continue;
        slot.delete(entry);
        due.push(entry);
      }
    }
    this.#tick = Math.max(this.#tick, target);
    for (const entry of due) {
      entry.callback();
      this.#forgetOne();
    }
  }
}
