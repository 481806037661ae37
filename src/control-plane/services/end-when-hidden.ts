import type { FleetError } from "../../domain/errors.ts";
import type { LinkedSignal } from "../../resilience/signals.ts";
import { type FleetInventory, hostNotFound } from "../inventory/fleet-inventory.ts";
import { everyHost, type HostIdentity, type HostTest } from "../inventory/host-view.ts";

/** What somebody is given of a host for as long as it exists for them. */
export interface HostShown {
  readonly host: Pick<HostIdentity, "hostId" | "hostName">;
  readonly sees: HostTest;
  /** What they get. Whoever made it aborts it at the end, whichever it is. */
  readonly scope: LinkedSignal;
  /** Why it ends then; as if the host were not there, by default HOST_NOT_FOUND. */
  readonly reason?: FleetError;
}

/**
 * Aborts the scope at once when the host does not exist for its caller any more, because it was given other labels or was deleted, or does not now.
 * For whom every host exists nothing is watched.
 */
export function endWhenHidden(inventory: FleetInventory, { host, sees, scope, reason }: HostShown): void {
  const { signal } = scope;
  if (sees === everyHost || signal.aborted) return;
  const look = () => {
    if (inventory.host(host.hostId, sees)?.hostId === host.hostId) return;
    scope.abort(reason ?? hostNotFound(host.hostName));
  };
  signal.addEventListener("abort", inventory.watchHost(host.hostId, look), { once: true });
  look();
}
