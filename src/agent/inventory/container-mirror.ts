import type { EngineContainer } from "../engine/engine.ts";

/** Who is told what changes in a mirror. */
export interface MirrorListener {
  /** A container is new, different or gone. */
  changed(containerId: string): void;
  /** Everything may be different: a fresh list replaced the old one. */
  replaced(): void;
}

/** The engine's containers as the agent knows them now, by full id. Ready after the first list. */
export class ContainerMirror {
  #containers = new Map<string, EngineContainer>();
  readonly #listeners = new Set<MirrorListener>();
  #ready = false;

  /** Whether a list was ever taken. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Full ids of all containers. */
  ids(): string[] {
    return [...this.#containers.keys()];
  }

  /** A container by its full id. */
  get(containerId: string): EngineContainer | undefined {
    return this.#containers.get(containerId);
  }

  /** The full id of the one container that is meant, with Docker's precedence: id, name, unambiguous prefix. */
  resolve(container: string): string | undefined {
    if (this.#containers.has(container)) return container;
    const prefixed: string[] = [];
    for (const { id, name } of this.#containers.values()) {
      if (name === container) return id;
      if (id.startsWith(container)) prefixed.push(id);
    }
    return prefixed.length === 1 ? prefixed[0] : undefined;
  }

  /** Takes a fresh list in place of everything. */
  replace(containers: readonly EngineContainer[]): void {
    this.#containers = new Map(containers.map((container) => [container.id, container]));
    this.#ready = true;
    for (const listener of this.#listeners) listener.replaced();
  }

  /** Takes one container as it is now. */
  upsert(container: EngineContainer): void {
    this.#containers.set(container.id, container);
    for (const listener of this.#listeners) listener.changed(container.id);
  }

  /** Forgets a container that is gone. */
  remove(containerId: string): void {
    if (!this.#containers.delete(containerId)) return;
    for (const listener of this.#listeners) listener.changed(containerId);
  }

  /** Tells a listener from now on. Returns how to stop that. */
  listen(listener: MirrorListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
