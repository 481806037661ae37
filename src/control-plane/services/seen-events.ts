import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { EventFilter } from "../events/event-filter.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { everyHost, type HostTest } from "../inventory/host-view.ts";

// Tells of a host, and of what is not the host's.
const ofWholeFleet: ReadonlySet<number> = new Set([EventType.TOKEN_USED]);
const ofHosts = Object.values(EventType).filter(
  (type) => typeof type === "number" && type !== EventType.UNSPECIFIED && !ofWholeFleet.has(type),
) as number[];

/**
 * Which events exist for one who reads or follows them: those of the hosts that exist for them, and none that are about
 * the fleet as a whole. A follower is told of the end of a host that it saw before.
 */
export class SeenEvents {
  readonly #inventory: FleetInventory;
  readonly #sees: HostTest;
  readonly #seen = new Set<string>();

  constructor(inventory: FleetInventory, sees: HostTest) {
    this.#inventory = inventory;
    this.#sees = sees;
  }

  /** The filter, narrowed down to what exists now. */
  limit(filter: EventFilter): EventFilter {
    if (this.#sees === everyHost) {
      return filter;
    }
    const seen = this.#hostIds();
    return {
      ...filter,
      types: (filter.types ?? ofHosts).filter((type) => !ofWholeFleet.has(type)),
      hostIds: filter.hostIds === undefined ? [...seen] : filter.hostIds.filter((id) => seen.has(id)),
    };
  }

  // One that was deleted stays: its last event is about nobody's host but one that was seen.
  #hostIds(): ReadonlySet<string> {
    for (const host of this.#inventory.hosts()) {
      if (this.#sees(host)) {
        this.#seen.add(host.hostId);
      } else {
        this.#seen.delete(host.hostId);
      }
    }
    return this.#seen;
  }
}
