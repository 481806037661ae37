import type { EngineContainer } from "../engine/engine.ts";
import type { ContainerMirror } from "./container-mirror.ts";

/** One step of the inventory, as the schema has it. */
export type InventoryStep =
  | { readonly kind: "begin" }
  | { readonly kind: "container"; readonly container: EngineContainer }
  | { readonly kind: "removed"; readonly containerId: string }
  | { readonly kind: "end"; readonly containerCount: number };

/** A snapshot under way, or deltas after it. */
type Phase =
  | { readonly kind: "waiting" }
  | { readonly kind: "begin" }
  | { readonly kind: "snapshot"; readonly ids: Iterator<string>; count: number }
  | { readonly kind: "deltas" };

/**
 * The inventory as one session has to tell it: a snapshot, then what changed. Steps are made when they are asked for,
 * so that nothing piles up for a slow reader, and several changes of one container become one step. A fresh list of
 * the engine begins the snapshot anew.
 */
export class InventoryFeed {
  readonly #mirror: ContainerMirror;
  readonly #changed = new Set<string>();
  readonly #stopListening: () => void;
  #phase: Phase;

  constructor(mirror: ContainerMirror, onSteps: () => void) {
    this.#mirror = mirror;
    this.#phase = { kind: mirror.ready ? "begin" : "waiting" };
    this.#stopListening = mirror.listen({
      changed: (containerId) => {
        this.#changed.add(containerId);
        onSteps();
      },
      replaced: () => {
        this.#phase = { kind: "begin" };
        onSteps();
      },
    });
  }

  /** Whether the snapshot has been told to its end. */
  get complete(): boolean {
    return this.#phase.kind === "deltas";
  }

  /** The next step. Undefined: nothing to tell now. */
  next(): InventoryStep | undefined {
    switch (this.#phase.kind) {
      case "waiting":
        return undefined;
      case "begin":
        this.#changed.clear();
        this.#phase = { kind: "snapshot", ids: this.#mirror.ids().values(), count: 0 };
        return { kind: "begin" };
      case "snapshot":
        return this.#nextOfSnapshot(this.#phase);
      case "deltas":
        return this.#nextDelta();
    }
  }

  /** Listens no longer. */
  close(): void {
    this.#stopListening();
  }

  #nextOfSnapshot(snapshot: Extract<Phase, { kind: "snapshot" }>): InventoryStep {
    for (let next = snapshot.ids.next(); next.done !== true; next = snapshot.ids.next()) {
      const container = this.#mirror.get(next.value);
      if (container === undefined) continue;
      this.#changed.delete(next.value);
      snapshot.count += 1;
      return { kind: "container", container };
    }
    this.#phase = { kind: "deltas" };
    return { kind: "end", containerCount: snapshot.count };
  }

  #nextDelta(): InventoryStep | undefined {
    const [containerId] = this.#changed;
    if (containerId === undefined) return undefined;
    this.#changed.delete(containerId);
    const container = this.#mirror.get(containerId);
    return container === undefined ? { kind: "removed", containerId } : { kind: "container", container };
  }
}
