/** Whether something does its work. */
export type HealthState = "SERVING" | "NOT_SERVING";

/**
 * How the parts of a process are, for health checks. The whole, under the empty name, serves when every part does;
 * once it drains it never serves again.
 */
export class HealthStates {
  readonly #parts = new Map<string, HealthState>();
  readonly #listeners = new Set<() => void>();
  #draining = false;

  /** Says how a part is, for example "storage". The empty name is the whole, and cannot be set. */
  set(part: string, state: HealthState): void {
    if (part === "") throw new TypeError("the state of the whole follows from its parts");
    if (this.#parts.get(part) === state) return;
    this.#parts.set(part, state);
    this.#tell();
  }

  /** How a part is, or the whole for the empty name. Undefined when nobody spoke of it. */
  get(part: string): HealthState | undefined {
    if (part === "") return this.#whole();
    const state = this.#parts.get(part);
    return state !== undefined && this.#draining ? "NOT_SERVING" : state;
  }

  /** Every part, without the whole, by name. */
  parts(): Readonly<Record<string, HealthState>> {
    const names = [...this.#parts.keys()].toSorted();
    return Object.fromEntries(names.map((name) => [name, this.get(name) ?? "NOT_SERVING"]));
  }

  /** From now on nothing serves, whatever is set. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#tell();
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Calls the listener after each change. Returns how to take it off again. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #whole(): HealthState {
    const serves = !this.#draining && [...this.#parts.values()].every((state) => state === "SERVING");
    return serves ? "SERVING" : "NOT_SERVING";
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
