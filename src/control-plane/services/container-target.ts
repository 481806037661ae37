import { FleetError } from "../../domain/errors.ts";
import type { Container } from "../../gen/fairlead/container/v1/container_pb.js";
import type { CommandRecord } from "../../storage/records.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { everyHost, type HostIdentity, type HostTest } from "../inventory/host-view.ts";

/** What a command is for. */
export interface ContainerTarget {
  readonly host: HostIdentity;
  /** As the engine is to be asked for it; for a create the wanted name. */
  readonly container: string;
  /** As last seen, where it is known. */
  readonly known?: Container | undefined;
  /** The request repeats an earlier one. */
  readonly isRepeat?: boolean;
}

/** What every request of a command may say of its target. */
export interface TargetRequest {
  readonly host: string;
  /** Full id, prefix of an id, or name. A create has none. */
  readonly container?: string;
  /** The wanted name of a create, or nothing. */
  readonly name?: string;
}

/**
 * What a request is for. A container is named to its agent by its full id, so that one that takes over the name meanwhile is
 * not hit; only one that the inventory does not know goes by the caller's words. Throws what
 * `FleetInventory.resolve` throws, and `INVALID_ARGUMENT` where a host must be chosen.
 */
export function containerTarget(
  inventory: FleetInventory,
  request: TargetRequest,
  sees: HostTest = everyHost,
): ContainerTarget {
  if (request.container === undefined) {
    return { host: identityOf(hostForCreate(inventory, request.host, sees)), container: request.name ?? "" };
  }
  const { host, containerId, container } = inventory.resolve(request.container, request.host, sees);
  return { host: identityOf(host), container: containerId ?? request.container, known: container };
}

/** What an earlier command was for; a repeated call is for the same, even if the container has gone by that command. */
export function targetOfCommand(inventory: FleetInventory, command: CommandRecord): ContainerTarget {
  const { hostId, hostName, agentId, container } = command;
  const known = inventory.container(hostId, container);
  return { host: { hostId, hostName, agentId }, container, known, isRepeat: true };
}

function hostForCreate(inventory: FleetInventory, reference: string, sees: HostTest): HostIdentity {
  if (reference !== "") {
    return inventory.requireHost(reference, sees);
  }
  const hosts = inventory.hosts(sees);
  const [only] = hosts;
  if (only !== undefined && hosts.length === 1) {
    return only;
  }
  const description =
    only === undefined
      ? "the fleet has no host yet; create a registration token and enrol an agent with it"
      : `the fleet has ${hosts.length} hosts, choose one by name or id: ${namesOf(hosts)}`;
  throw new FleetError("INVALID_ARGUMENT", `host: ${description}`, {
    violations: [{ field: "host", description }],
  });
}

// A view says more than what a command remembers of its host.
function identityOf({ hostId, hostName, agentId }: HostIdentity): HostIdentity {
  return { hostId, hostName, agentId };
}

function namesOf(hosts: readonly HostIdentity[]): string {
  const shown = hosts.slice(0, 10).map(({ hostName }) => hostName);
  return `${shown.join(", ")}${hosts.length > shown.length ? ", …" : ""}`;
}
