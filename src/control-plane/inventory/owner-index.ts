/**
 * Finds the owners of a key. Nearly every key has one owner, so that a set is made only for the others: with
 * hundreds of thousands of keys that is most of the memory.
 */
export class OwnerIndex<Owner extends object> {
  readonly #owners = new Map<string, Owner | Set<Owner>>();

  /** Adds an owner. Adding it again changes nothing. */
  add(key: string, owner: Owner): void {
    const known = this.#owners.get(key);
    if (known === undefined) {
      this.#owners.set(key, owner);
    } else if (known instanceof Set) {
      known.add(owner);
    } else if (known !== owner) {
      this.#owners.set(key, new Set([known, owner]));
    }
  }

  /** Takes an owner away. One that is not there changes nothing. */
  delete(key: string, owner: Owner): void {
    const known = this.#owners.get(key);
    if (known === owner) {
      this.#owners.delete(key);
    } else if (known instanceof Set) {
      known.delete(owner);
      if (known.size === 0) {
        this.#owners.delete(key);
      }
    }
  }

  /** The owners of a key, in no particular order. */
  get(key: string): readonly Owner[] {
    const known = this.#owners.get(key);
    if (known === undefined) {
      return [];
    }
    return known instanceof Set ? [...known] : [known];
  }

  /** How many keys have an owner. */
  get size(): number {
    return this.#owners.size;
  }
}
