interface Waiting<Item, Result> extends PromiseWithResolvers<Result> {
  readonly item: Item;
}

/** How a group is written. */
export interface GroupCommitOptions<Item, Result> {
  /** Writes the items in one transaction, and gives a result for each of them, in their order. */
  readonly write: (items: readonly Item[]) => Promise<readonly Result[]>;
  /** Whether an error may be the fault of one item, so that the others deserve a try without it. */
  readonly mayBeOneItem: (error: unknown) => boolean;
  /** How many items one transaction takes at most, so that a flood of them lets others have their turn. */
  readonly maxItems: number;
}

/**
 * Gathers what is to be written until the turn of the event loop ends, and writes it in one go: one fsync for all.
 * Groups are written one after the other, in the order of the calls. A group that fails because of what is in it is
 * halved until the odd item stands alone. Every promise of `add` settles.
 */
export class GroupCommit<Item, Result> {
  readonly #options: GroupCommitOptions<Item, Result>;
  #waiting: Waiting<Item, Result>[] = [];
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: GroupCommitOptions<Item, Result>) {
    this.#options = options;
  }

  /** How many items wait for a transaction. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves when the item has been committed; rejects when it has not. */
  add(item: Item): Promise<Result> {
    const waiting = { item, ...Promise.withResolvers<Result>() };
    this.#waiting.push(waiting);
    if (this.#idle === undefined) {
      this.#idle = Promise.withResolvers<void>();
      setImmediate(() => void this.#writeNext());
    }
    return waiting.promise;
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    await this.#idle?.promise;
  }

  async #writeNext(): Promise<void> {
    await this.#write(this.#waiting.splice(0, this.#options.maxItems));
    if (this.#waiting.length > 0) {
      setImmediate(() => void this.#writeNext());
      return;
    }
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  async #write(group: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#options.write(group.map(({ item }) => item));
      group.forEach(({ resolve }, index) => {
        resolve(results[index] as Result);
      });
    } catch (error) {
      if (group.length > 1 && this.#options.mayBeOneItem(error)) {
        const half = group.length >> 1;
        await this.#write(group.slice(0, half));
        await this.#write(group.slice(half));
        return;
      }
      for (const { reject } of group) {
        reject(error);
      }
    }
  }
}
