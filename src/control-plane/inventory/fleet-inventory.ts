import { FleetError } from "../../domain/errors.ts";
import type { InventoryUpdate } from "../../gen/fairlead/agent/v1/inventory_pb.js";
import type { Container } from "../../gen/fairlead/container/v1/container_pb.js";
import { closeNames } from "./close-names.ts";
import { type ContainerFilter, containerTest } from "./container-filter.ts";
import { ContainerFinder } from "./container-finder.ts";
import { HostInventory, type InventoryEntry } from "./host-inventory.ts";
import {
  everyHost,
  type HostIdentity,
  type HostTest,
  type HostView,
  type LocatedContainer,
} from "./host-view.ts";
import { compareText, firstAfter } from "./order.ts";

/** Where a container stands in the list of the whole fleet. */
export interface FleetPosition {
  readonly hostName: string;
  readonly hostId: string;
  readonly containerName: string;
  readonly containerId: string;
}

/** What a command is for. */
export interface ResolvedContainer {
  readonly host: HostView;
  /** Full id. Undefined: the inventory does not know it, the engine may; it is to be asked by what the caller said. */
  readonly containerId: string | undefined;
  /** The container as last seen. */
  readonly container?: Container;
}

/**
 * Every host of the fleet and its containers, as the agents told them last. Holds the words of one moment: what it
 * hands out does not change afterwards. Hosts come with `setHost` and stay until `removeHost`, online or not. Whoever
 * asks on behalf of somebody for whom not all hosts exist says by `sees` which do; the others are not there for it.
 */
export class FleetInventory {
  readonly #hosts = new Map<string, HostInventory>();
  readonly #idsByName = new Map<string, string>();
  readonly #finder = new ContainerFinder(() => this.#hosts.values());
  readonly #watchers = new Map<string, Set<() => void>>();
  #sorted: readonly HostInventory[] | undefined;

  /** Adds a host, or gives a known one another name, agent or labels. Its containers stay. */
  setHost(identity: HostIdentity): void {
    const known = this.#hosts.get(identity.hostId);
    if (known === undefined) {
      this.#hosts.set(identity.hostId, new HostInventory(identity, this.#finder));
      this.#sorted = undefined;
    } else {
      this.#rename(known, identity);
    }
    this.#idsByName.set(identity.hostName, identity.hostId);
    this.#tell(identity.hostId);
  }

  /** Takes a host and its containers out. */
  removeHost(hostId: string): void {
    const host = this.#hosts.get(hostId);
    if (host !== undefined) {
      host.clear();
      this.#hosts.delete(hostId);
      this.#forgetName(host.view);
      this.#sorted = undefined;
      this.#tell(hostId);
    }
  }

  /**
   * Calls back after the host was given another name, agent or labels, and after it was taken out, until the returned function is called. The
   * listener must not throw.
   */
  watchHost(hostId: string, listener: () => void): () => void {
    const watchers = this.#watchers.get(hostId) ?? new Set();
    this.#watchers.set(hostId, watchers.add(listener));
    return () => {
      watchers.delete(listener);
      if (watchers.size === 0) this.#watchers.delete(hostId);
    };
  }

  /** Says whether the host's agent holds a session. An unknown host is ignored, here and below: it was just deleted. */
  setOnline(hostId: string, online: boolean): void {
    this.#hosts.get(hostId)?.setOnline(online);
  }

  /** Says whether the host's agent reaches its engine. */
  setEngine(hostId: string, available: boolean): void {
    this.#hosts.get(hostId)?.setEngine(available);
  }

  /** Applies one step that an agent sent, in the order in which it sent them. */
  apply(hostId: string, update: InventoryUpdate): void {
    this.#hosts.get(hostId)?.apply(update);
  }

  /** A new session begins: a snapshot that the one before did not complete is forgotten. */
  resetSnapshot(hostId: string): void {
    this.#hosts.get(hostId)?.resetSnapshot();
  }

  /** A host by id or, where no host has that id, by name. */
  host(reference: string, sees = everyHost): HostView | undefined {
    return this.#find(reference, sees)?.view;
  }

  /** A host by id or name, as `host` finds it. Throws `HOST_NOT_FOUND` with the names that may have been meant. */
  requireHost(reference: string, sees = everyHost): HostView {
    return this.#require(reference, sees).view;
  }

  /** The container of a host by its full id, as last seen. */
  container(hostId: string, containerId: string): Container | undefined {
    return this.#hosts.get(hostId)?.get(containerId)?.container;
  }

  /** All hosts, ordered by name. */
  hosts(sees = everyHost): HostView[] {
    return this.#inOrder()
      .map(({ view }) => view)
      .filter(sees);
  }

  /**
   * The containers that pass the filter and stand after a position, ordered by host name, container name and id, at most `limit`.
   * A position need not exist any more, so that a reader who goes on from its last container meets each that
   * stays exactly once. Throws `HOST_NOT_FOUND` for an unknown host in the filter.
   */
  list(
    filter: ContainerFilter,
    after: FleetPosition | undefined,
    limit: number,
    sees = everyHost,
  ): LocatedContainer[] {
    const passes = containerTest(filter);
    const found: LocatedContainer[] = [];
    for (const host of this.#hostsFrom(filter.hosts, after, sees)) {
      const { view } = host;
      for (const container of host.after(positionIn(view, after))) {
        if (passes(container)) {
          if (found.length >= limit) {
            return found;
          }
          found.push({ host: view, container });
        }
      }
    }
    return found;
  }

  /**
   * Finds the container that a caller means by full id, name or prefix of an id, with Docker's precedence, on one host
   * or, with an empty `hostReference`, wherever it is. Throws `HOST_NOT_FOUND`; `CONTAINER_AMBIGUOUS`
   * with the metadata `candidates`; `CONTAINER_NOT_FOUND` only where no host was named.
   */
  resolve(reference: string, hostReference: string, sees = everyHost): ResolvedContainer {
    if (hostReference === "") {
      return resolved(this.#finder.requireAnywhere(reference, sees));
    }
    const host = this.#require(hostReference, sees);
    const entry = this.#finder.findOn(host, reference);
    return entry === undefined ? { host: host.view, containerId: undefined } : resolved(entry);
  }

  #hostsFrom(
    references: readonly string[],
    after: FleetPosition | undefined,
    sees: HostTest,
  ): readonly HostInventory[] {
    const wanted =
      references.length === 0
        ? this.#seen(sees)
        : [...new Set(references.map((reference) => this.#require(reference, sees)))].toSorted(compareHosts);
    if (after === undefined) {
      return wanted;
    }
    const first = firstAfter(wanted, ({ view }) => compareHostPositions(view, after));
    // The host of the position itself stands right before those after it, and may have more.
    const before = wanted[first - 1];
    return wanted.slice(before?.view.hostId === after.hostId ? first - 1 : first);
  }

  #seen(sees: HostTest): readonly HostInventory[] {
    return sees === everyHost ? this.#inOrder() : this.#inOrder().filter(({ view }) => sees(view));
  }

  #inOrder(): readonly HostInventory[] {
    this.#sorted ??= [...this.#hosts.values()].toSorted(compareHosts);
    return this.#sorted;
  }

  #find(reference: string, sees: HostTest): HostInventory | undefined {
    const found = [this.#hosts.get(reference), this.#hosts.get(this.#idsByName.get(reference) ?? "")];
    return found.find((host) => host !== undefined && sees(host.view));
  }

  #require(reference: string, sees: HostTest): HostInventory {
    const host = this.#find(reference, sees);
    if (host === undefined) {
      const names = this.#seen(sees).map(({ view }) => view.hostName);
      throw hostNotFound(reference, closeNames(reference, names));
    }
    return host;
  }

  // Sessions come and go by the thousand and hardly ever change a name: the order of hosts survives them.
  #rename(host: HostInventory, identity: HostIdentity): void {
    if (host.view.hostName !== identity.hostName) {
      this.#forgetName(host.view);
      this.#sorted = undefined;
    }
    host.identify(identity);
  }

  #tell(hostId: string): void {
    for (const listener of this.#watchers.get(hostId) ?? []) listener();
  }

  #forgetName({ hostId, hostName }: HostView): void {
    if (this.#idsByName.get(hostName) === hostId) {
      this.#idsByName.delete(hostName);
    }
  }
}

function resolved({ host, container }: InventoryEntry): ResolvedContainer {
  return { host: host.view, containerId: container.id, container };
}

/** There is no such host, for whoever asks. */
export function hostNotFound(reference: string, close: readonly string[] = []): FleetError {
  const hint = close.length === 0 ? "" : `; did you mean ${close.map((name) => `"${name}"`).join(" or ")}?`;
  return new FleetError("HOST_NOT_FOUND", `the fleet has no host "${reference}"${hint}`, {
    metadata: { host: reference, ...(close.length === 0 ? {} : { close_names: close.join(", ") }) },
  });
}

function compareHosts(one: HostInventory, other: HostInventory): number {
  return compareHostPositions(one.view, other.view);
}

function compareHostPositions(
  one: Pick<HostIdentity, "hostName" | "hostId">,
  other: Pick<HostIdentity, "hostName" | "hostId">,
): number {
  return compareText(one.hostName, other.hostName) || compareText(one.hostId, other.hostId);
}

function positionIn({ hostId }: HostView, after: FleetPosition | undefined) {
  return after?.hostId === hostId ? { name: after.containerName, id: after.containerId } : undefined;
}
