import { ContainerState } from "../../gen/fairlead/container/v1/container_pb.js";
import type { ContainerSelector } from "../../gen/fairlead/container/v1/container_selector_pb.js";
import { labelTest } from "../inventory/container-filter.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import type { HostTest, HostView } from "../inventory/host-view.ts";
import { selectContainers } from "./container-selection.ts";

/** What is to be measured at one host. */
export interface HostWish {
  readonly host: HostView;
  /** The containers that are meant, running or not, by full id. Undefined: all that run. */
  readonly ids: ReadonlySet<string> | undefined;
}

/** What one caller wants measured, over all hosts that exist for it. Answers by the inventory of the moment. */
export class StatsScope {
  readonly #inventory: FleetInventory;
  readonly #selector: ContainerSelector | undefined;
  readonly #sees: HostTest;

  constructor(inventory: FleetInventory, selector: ContainerSelector | undefined, sees: HostTest) {
    this.#inventory = inventory;
    this.#selector = selector;
    this.#sees = sees;
  }

  /** Whether containers that do not run are wanted as well. */
  get includesStopped(): boolean {
    return this.#selector?.includeStopped ?? false;
  }

  /** Every host at which there is something to measure. Throws HOST_NOT_FOUND. */
  hosts(): HostView[] {
    const { hosts = [] } = this.#selector ?? {};
    const named = new Set(hosts.map((host) => this.#inventory.requireHost(host, this.#sees).hostId));
    return this.#inventory
      .hosts((host) => (named.size === 0 || named.has(host.hostId)) && this.#isWanted(host))
      .filter(({ hostId }) => this.of(hostId) !== undefined);
  }

  /** What there is to measure at a host. Undefined: nothing, or it is not there any more. */
  of(hostId: string): HostWish | undefined {
    const host = this.#inventory.host(hostId, (one) => this.#isWanted(one));
    if (host === undefined) return undefined;
    const { labels = [], nameContains = "", containers = [] } = this.#selector ?? {};
    const isEveryOne = labels.length === 0 && nameContains === "" && containers.length === 0;
    if (isEveryOne) return { host, ids: undefined };
    const ids = new Set(this.#selected(hostId, true).map(({ container }) => container.id));
    return ids.size === 0 ? undefined : { host, ids };
  }

  /** Of a host: the containers that are wanted and do not run, by full id. */
  stopped(hostId: string): string[] {
    if (!this.includesStopped) return [];
    return this.#selected(hostId, true)
      .filter(({ container }) => isStopped(container.state))
      .map(({ container }) => container.id);
  }

  #selected(hostId: string, includeStopped: boolean) {
    const { labels = [], nameContains = "", containers = [] } = this.#selector ?? {};
    const selector = { hosts: [hostId], hostLabels: [], labels, nameContains, containers, includeStopped };
    return selectContainers(this.#inventory, selector, Number.POSITIVE_INFINITY, this.#sees);
  }

  #isWanted(host: HostView): boolean {
    return this.#sees(host) && (this.#selector?.hostLabels ?? []).every((label) => labelTest(label)(host));
  }
}

function isStopped(state: ContainerState): boolean {
  return [ContainerState.CREATED, ContainerState.EXITED, ContainerState.DEAD].includes(state);
}
