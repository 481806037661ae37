/** How many may be inside at once. */
export interface FairGateLimits {
  /** In all. */
  readonly total: number;
  /** Of one group. */
  readonly each: number;
}

interface Group {
  readonly waiting: Set<() => void>;
  inside: number;
}

/**
 * Lets so many inside at once, and so many of one group; the others wait. Groups take turns, so that one which sends many cannot keep another
 * out. Nothing is remembered of a group that nobody of is here.
 */
export class FairGate {
  readonly #limits: FairGateLimits;
  readonly #groups = new Map<string, Group>();
  // Those with somebody waiting and room for more, in the order of their turn.
  readonly #ready = new Set<Group>();
  #inside = 0;

  constructor(limits: FairGateLimits) {
    this.#limits = limits;
  }

  /** How many are inside. */
  get inside(): number {
    return this.#inside;
  }

  /** How many groups are here. */
  get groups(): number {
    return this.#groups.size;
  }

  /** Waits for a place and resolves to how to leave it. Rejects with the signal's reason. */
  async enter(name: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const group = this.#groups.get(name) ?? { waiting: new Set(), inside: 0 };
    this.#groups.set(name, group);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    group.waiting.add(resolve);
    this.#admit(group);
    try {
      await promise;
    } catch (error) {
      // It may have been let in just as it gave up; then its place is free again.
      if (group.waiting.delete(resolve)) this.#settle(name, group);
      else this.#leave(name, group);
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
    return this.#onceOnly(() => this.#leave(name, group));
  }

  #leave(name: string, group: Group): void {
    group.inside -= 1;
    this.#inside -= 1;
    this.#settle(name, group);
    this.#admit(group);
  }

  #admit(group: Group): void {
    if (group.waiting.size > 0 && group.inside < this.#limits.each) this.#ready.add(group);
    while (this.#inside < this.#limits.total) {
      const [next] = this.#ready;
      const [letIn] = next?.waiting ?? [];
      if (next === undefined || letIn === undefined) return;
      this.#ready.delete(next);
      next.waiting.delete(letIn);
      next.inside += 1;
      this.#inside += 1;
      if (next.waiting.size > 0 && next.inside < this.#limits.each) this.#ready.add(next);
      letIn();
    }
  }

  #settle(name: string, group: Group): void {
    if (group.waiting.size === 0) this.#ready.delete(group);
    if (group.waiting.size === 0 && group.inside === 0) this.#groups.delete(name);
  }

  #onceOnly(leave: () => void): () => void {
    let left = false;
    return () => {
      if (!left) leave();
      left = true;
    };
  }
}
