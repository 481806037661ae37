/**
 * Places that names share, without waiting. One name may hold no more places than are still free: alone half of
 * them, and less the more there are who want many, so that there is always room for one who has none.
 */
export class FairShare {
  readonly #places: number;
  readonly #held = new Map<string, number>();
  #taken = 0;

  constructor(places: number) {
    this.#places = places;
  }

  /** How many places are taken. */
  get taken(): number {
    return this.#taken;
  }

  /** How many names hold any. */
  get names(): number {
    return this.#held.size;
  }

  /**
   * Takes a place and returns how to give it back, once. Undefined: there is none for this name. Without a name it is taken from all of
   * them, in nobody's share.
   */
  enter(name?: string): (() => void) | undefined {
    const free = this.#places - this.#taken;
    if (free <= 0 || (name !== undefined && (this.#held.get(name) ?? 0) >= free)) return undefined;
    this.#add(name, 1);
    let left = false;
    return () => {
      if (!left) this.#add(name, -1);
      left = true;
    };
  }

  #add(name: string | undefined, places: 1 | -1): void {
    this.#taken += places;
    if (name === undefined) return;
    const held = (this.#held.get(name) ?? 0) + places;
    if (held === 0) this.#held.delete(name);
    else this.#held.set(name, held);
  }
}
