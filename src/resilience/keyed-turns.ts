/** Lets pieces of work of one key run one after the other, in the order in which they came; those of different keys run side by side. */
export class KeyedTurns {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs the work when everything of its key that came before has ended: at once when nothing did. Settles as the work does. */
  async run(key: string, work: () => Promise<void>): Promise<void> {
    const before = this.#last.get(key);
    const done = before === undefined ? work() : before.then(work);
    const settled = done.catch(() => undefined);
    this.#last.set(key, settled);
    await settled;
    if (this.#last.get(key) === settled) this.#last.delete(key);
    return done;
  }
}
