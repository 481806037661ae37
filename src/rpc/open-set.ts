import type { EventEmitter } from "node:events";

/** What is open: each item leaves the set by itself when it emits "close". */
export class OpenSet<Item extends EventEmitter> implements Iterable<Item> {
  readonly #items = new Set<Item>();
  #waiters: (() => void)[] = [];

  get size(): number {
    return this.#items.size;
  }

  add(item: Item): void {
    this.#items.add(item);
    item.once("close", () => {
      this.#items.delete(item);
      if (this.#items.size > 0) return;
      for (const wake of this.#waiters) wake();
      this.#waiters = [];
    });
  }

  /** Resolves as soon as nothing is open. */
  async emptied(): Promise<void> {
    if (this.#items.size > 0) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  [Symbol.iterator](): Iterator<Item> {
    return this.#items.values();
  }
}
