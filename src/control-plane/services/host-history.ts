import { validate as isUuid } from "uuid";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { everyHost, type HostTest } from "../inventory/host-view.ts";

/**
 * The id of a host whose history is asked for. History outlives its host: an id that the fleet does not know (any more) is taken as
 * it is. A name must be known; throws `HOST_NOT_FOUND`. For whom not all hosts exist, those that are gone do not either:
 * nobody can tell any more which ones they saw.
 */
export function historicHostId(inventory: FleetInventory, reference: string, sees: HostTest): string {
  const known = inventory.host(reference, sees);
  if (known === undefined && sees === everyHost && isUuid(reference)) {
    return reference;
  }
  return (known ?? inventory.requireHost(reference, sees)).hostId;
}

/** The ids of the hosts that exist for somebody. Undefined: all do, those that are gone too. */
export function seenHostIds(inventory: FleetInventory, sees: HostTest): string[] | undefined {
  return sees === everyHost ? undefined : inventory.hosts(sees).map(({ hostId }) => hostId);
}
