import type { InventoryUpdate } from "../../gen/fairlead/agent/v1/inventory_pb.js";
import { type Container, ContainerState } from "../../gen/fairlead/container/v1/container_pb.js";
import { compareText, firstAfter } from "./order.ts";
import type { HostIdentity, HostView } from "./host-view.ts";

/** A container and the host that has it. The same object as long as the container keeps its name. */
export interface InventoryEntry {
  readonly host: HostInventory;
  readonly container: Container;
}

/** Is told which containers come, go, or change their name (then the old one goes and the new one comes), to keep an index. */
export interface InventoryObserver {
  added(entry: InventoryEntry): void;
  removed(entry: InventoryEntry): void;
}

/** Where a container stands in the order of its host's list. */
export interface ContainerPosition {
  readonly name: string;
  readonly id: string;
}

type MutableEntry = { -readonly [Key in keyof InventoryEntry]: InventoryEntry[Key] };

/** The containers of one host, as its agent told them. */
export class HostInventory {
  readonly #observer: InventoryObserver;
  readonly #entries = new Map<string, MutableEntry>();
  #identity: HostIdentity;
  #labels: Readonly<Record<string, string>>;
  #online = false;
  #engineAvailable = false;
  /** Ids that came since the snapshot under way began. Undefined: there is none. */
  #snapshot: Set<string> | undefined;
  #sorted: readonly InventoryEntry[] | undefined;
  #view: HostView | undefined;

  constructor(identity: HostIdentity, observer: InventoryObserver) {
    this.#identity = identity;
    this.#labels = identity.labels ?? {};
    this.#observer = observer;
  }

  /** The host as it is now. The same object until something of it changes. */
  get view(): HostView {
    const { hostId, hostName, agentId } = this.#identity;
    this.#view ??= {
      hostId,
      hostName,
      agentId,
      online: this.#online,
      engineAvailable: this.#engineAvailable,
      containerCount: this.#entries.size,
      runningContainerCount: this.#countRunning(),
      labels: this.#labels,
    };
    return this.#view;
  }

  identify(identity: HostIdentity): void {
    this.#identity = identity;
    this.#labels = identity.labels ?? this.#labels;
    this.#view = undefined;
  }

  setOnline(online: boolean): void {
    this.#online = online;
    this.#view = undefined;
  }

  setEngine(available: boolean): void {
    this.#engineAvailable = available;
    this.#view = undefined;
  }

  /** The container with this full id. */
  get(id: string): InventoryEntry | undefined {
    return this.#entries.get(id);
  }

  /** All containers, in the order in which they got their names. */
  entries(): Iterable<InventoryEntry> {
    return this.#entries.values();
  }

  /** The containers after a position, in the order of name and id. */
  *after(position: ContainerPosition | undefined): Generator<Container> {
    const sorted = this.#inOrder();
    const first =
      position === undefined ? 0 : firstAfter(sorted, ({ container }) => compare(container, position));
    for (let index = first; index < sorted.length; index += 1) {
      yield (sorted[index] as InventoryEntry).container;
    }
  }

  /**
   * Applies one step. A container that comes during a snapshot counts for now and for the snapshot: whether it is a part
   * of it or a delta, it is the newest that is known of it. What the snapshot did not bring goes when it is complete.
   * The count at its end is not held against it: an item that broke a bound was left out on the way.
   */
  apply({ update, observedTime }: InventoryUpdate): void {
    switch (update.case) {
      case "snapshotBegin":
        this.#snapshot = new Set();
        break;
      case "container":
        this.#snapshot?.add(update.value.id);
        this.#put(
          update.value.observedTime === undefined && observedTime !== undefined
            ? { ...update.value, observedTime }
            : update.value,
        );
        break;
      case "removedContainerId":
        this.#remove(update.value);
        break;
      case "snapshotEnd":
        this.#replaceBySnapshot();
        break;
      case undefined:
        break;
    }
  }

  /** Forgets a snapshot that is under way. What was known stays. */
  resetSnapshot(): void {
    this.#snapshot = undefined;
  }

  /** Takes all containers out. */
  clear(): void {
    this.#snapshot = undefined;
    for (const id of this.#entries.keys()) {
      this.#remove(id);
    }
  }

  #replaceBySnapshot(): void {
    const snapshot = this.#snapshot;
    if (snapshot === undefined) {
      return;
    }
    this.#snapshot = undefined;
    for (const id of [...this.#entries.keys()].filter((id) => !snapshot.has(id))) {
      this.#remove(id);
    }
  }

  #put(container: Container): void {
    const entry = this.#entries.get(container.id);
    if (entry?.container.name === container.name) {
      entry.container = container;
    } else {
      this.#remove(container.id);
      this.#add({ host: this, container });
    }
    this.#view = undefined;
  }

  #add(entry: MutableEntry): void {
    this.#entries.set(entry.container.id, entry);
    this.#observer.added(entry);
    this.#sorted = undefined;
    this.#view = undefined;
  }

  #remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) {
      this.#entries.delete(id);
      this.#observer.removed(entry);
      this.#sorted = undefined;
      this.#view = undefined;
    }
  }

  #inOrder(): readonly InventoryEntry[] {
    this.#sorted ??= [...this.#entries.values()].toSorted((one, other) =>
      compare(one.container, other.container),
    );
    return this.#sorted;
  }

  #countRunning(): number {
    let count = 0;
    for (const { container } of this.#entries.values()) {
      count += container.state === ContainerState.RUNNING ? 1 : 0;
    }
    return count;
  }
}

function compare(one: ContainerPosition, other: ContainerPosition): number {
  return compareText(one.name, other.name) || compareText(one.id, other.id);
}
