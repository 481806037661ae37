import { validate as isUuid } from "uuid";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";

/**
 * The id of a host whose history is asked for. History outlives its host: an id that the fleet does not know (any more) is taken as
 * it is. A name must be known; throws `HOST_NOT_FOUND`.
 */
export function historicHostId(inventory: FleetInventory, reference: string): string {
  const known = inventory.host(reference);
  if (known === undefined && isUuid(reference)) {
    return reference;
  }
  return (known ?? inventory.requireHost(reference)).hostId;
}
