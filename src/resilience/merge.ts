/** An item that waits to be read. */
interface Offer<Item> {
  readonly item: Item;
  /** Lets its source go on. */
  readonly taken: () => void;
}

/**
 * Several sources read as one, in the order in which their items come. No source runs ahead: each waits until its item was read. Ends when all
 * sources have ended and `seal` was called; throws what a source throws. However the reader leaves, every source is asked to return.
 */
export class Merge<Item> {
  readonly #offers: Offer<Item>[] = [];
  readonly #iterators = new Set<AsyncIterator<Item>>();
  #error: { readonly cause: unknown } | undefined;
  #sealed = false;
  #left = false;
  #wake: (() => void) | undefined;

  /** How many sources have not ended. */
  get size(): number {
    return this.#iterators.size;
  }

  /** Adds a source. After the reader has left it is asked to return at once. */
  add(source: AsyncIterable<Item>): void {
    const iterator = source[Symbol.asyncIterator]();
    this.#iterators.add(iterator);
    void this.#pump(iterator);
  }

  /** No more sources will be added. */
  seal(): void {
    this.#sealed = true;
    this.#wake?.();
  }

  /** What the sources say. To be read once. */
  async *read(): AsyncGenerator<Item, void> {
    try {
      for (;;) {
        const offer = this.#offers.shift();
        if (offer !== undefined) {
          offer.taken();
          yield offer.item;
        } else if (this.#error !== undefined) {
          throw this.#error.cause;
        } else if (this.#sealed && this.#iterators.size === 0) {
          return;
        } else {
          await this.#news();
        }
      }
    } finally {
      this.#leave();
    }
  }

  async #pump(iterator: AsyncIterator<Item>): Promise<void> {
    try {
      while (!this.#left) {
        const next = await iterator.next();
        if (next.done === true) return;
        await this.#offer(next.value);
      }
      await iterator.return?.();
    } catch (error) {
      this.#error ??= { cause: error };
    } finally {
      this.#iterators.delete(iterator);
      this.#wake?.();
    }
  }

  async #offer(item: Item): Promise<void> {
    if (this.#left) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#offers.push({ item, taken: resolve });
    this.#wake?.();
    await promise;
  }

  async #news(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
  }

  // A source that waits for something of its own returns when that comes, or when its signal aborts.
  #leave(): void {
    this.#left = true;
    for (const { taken } of this.#offers.splice(0)) taken();
  }
}
