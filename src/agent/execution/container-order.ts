/** Work in its container's order. */
interface Entry {
  readonly key: string;
  readonly run: () => Promise<void>;
}

/**
 * Runs work of one key one after the other, in the order in which it came, and work of different keys side by side,
 * up to a limit and as long as the gate is open.
 */
export class ContainerOrder {
  readonly #limit: number;
  readonly #isOpen: () => boolean;
  readonly #queues = new Map<string, Entry[]>();
  #ready: Entry[] = [];
  #running = 0;
  #waiting = 0;
  #idleWaiters: (() => void)[] = [];

  /** `limit`: how many run at once. `isOpen`: asked before each start; when it opens again `pump` must be called. */
  constructor(limit: number, isOpen: () => boolean) {
    this.#limit = limit;
    this.#isOpen = isOpen;
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Whether work of that key waits or runs. */
  has(key: string): boolean {
    return this.#queues.has(key);
  }

  /** Queues work, which must not reject. */
  add(key: string, run: () => Promise<void>): void {
    const entry = { key, run };
    const queue = this.#queues.get(key);
    this.#waiting += 1;
    if (queue === undefined) {
      this.#queues.set(key, [entry]);
      this.#ready.push(entry);
    } else {
      queue.push(entry);
    }
    this.pump();
  }

  /** Starts what may start now. */
  pump(): void {
    while (this.#running < this.#limit && this.#isOpen()) {
      const entry = this.#ready.shift();
      if (entry === undefined) return;
      this.#running += 1;
      this.#waiting -= 1;
      void entry.run().finally(() => this.#ended(entry));
    }
  }

  /** Resolves when nothing waits or runs. */
  async idle(): Promise<void> {
    if (this.#queues.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idleWaiters.push(resolve);
    await promise;
  }

  #ended({ key }: Entry): void {
    this.#running -= 1;
    const queue = this.#queues.get(key);
    queue?.shift();
    const next = queue?.[0];
    if (next === undefined) this.#queues.delete(key);
    else this.#ready.push(next);
    if (this.#queues.size === 0) this.#tellIdle();
    this.pump();
  }

  #tellIdle(): void {
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const resolve of waiters) resolve();
  }
}
