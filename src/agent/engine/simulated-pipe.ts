/** A bounded pipe of bytes in memory, with one reader. */
export class SimulatedPipe<Item extends { readonly length: number }> {
  readonly #limitBytes: number;
  readonly #items: Item[] = [];
  #bytes = 0;
  #over = false;
  #changed = Promise.withResolvers<void>();

  constructor(limitBytes = 64 * 1024) {
    this.#limitBytes = limitBytes;
  }

  /** Resolves when there is room for more. What comes after the end is dropped. */
  async write(item: Item): Promise<void> {
    if (this.#over || item.length === 0) {
      return;
    }
    this.#items.push(item);
    this.#bytes += item.length;
    this.#notify();
    while (this.#bytes > this.#limitBytes && !this.#over) {
      await this.#changed.promise;
    }
  }

  /** The end: what is in it can still be read. */
  end(): void {
    this.#over = true;
    this.#notify();
  }

  /** The end at once: what is in it is dropped. */
  destroy(): void {
    this.#items.length = 0;
    this.#bytes = 0;
    this.end();
  }

  /** The next item. Undefined at the end. */
  async read(): Promise<Item | undefined> {
    while (this.#items.length === 0 && !this.#over) {
      await this.#changed.promise;
    }
    const item = this.#items.shift();
    this.#bytes -= item?.length ?? 0;
    this.#notify();
    return item;
  }

  #notify(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}
