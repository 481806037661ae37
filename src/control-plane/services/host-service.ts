import type { ServiceImpl } from "@connectrpc/connect";
import { FleetError } from "../../domain/errors.ts";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import {
  type HostService,
  type ListHostsRequest,
  ListHostsRequestSchema,
} from "../../gen/fairlead/host/v1/host_service_pb.js";
import { callerOf } from "../../rpc/caller.ts";
import type { HostRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { EventLog } from "../events/event-log.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import type { Sessions } from "../session/session-registry.ts";
import { hostMessage } from "./host-message.ts";
import { readPage } from "./page.ts";

/** What the host service needs. */
export interface HostServiceParts {
  readonly storage: { readonly fleet: Pick<Storage["fleet"], "list" | "find" | "remove"> };
  readonly inventory: FleetInventory;
  readonly events: Pick<EventLog, "make">;
  readonly sessions: Pick<Sessions, "remove" | "current">;
  readonly dispatcher: Pick<Dispatcher, "hostRemoved" | "circuitState">;
}

/** Sees and deletes the hosts of the fleet. */
export function createHostService(parts: HostServiceParts): ServiceImpl<typeof HostService> {
  return {
    listHosts: (request) => listHosts(parts, request),
    async getHost({ host }) {
      const record = await requireRecord(parts, host);
      return { host: messageOf(parts, record) };
    },
    async deleteHost({ host }, { values }) {
      return { host: await deleteHost(parts, host, callerOf(values).name) };
    },
  };
}

async function listHosts(parts: HostServiceParts, request: ListHostsRequest) {
  const page = await readPage<typeof ListHostsRequestSchema, HostRecord, { name: string; id: string }>(
    ListHostsRequestSchema,
    request,
    {
      fields: { name: "string", id: "string" },
      position: ({ name, id }) => ({ name, id }),
      read: (after, limit) => parts.storage.fleet.list(after, limit),
    },
  );
  return {
    hosts: page.items.map((record) => messageOf(parts, record)),
    nextPageToken: page.nextPageToken,
  };
}

async function deleteHost(parts: HostServiceParts, reference: string, actor: string) {
  const record = await requireRecord(parts, reference);
  const last = messageOf(parts, record);
  const deleted = parts.events.make({
    type: EventType.HOST_DELETED,
    hostId: record.id,
    hostName: record.name,
    actor,
  });
  if (!(await parts.storage.fleet.remove(record.id, [deleted]))) {
    throw hostNotFound(reference);
  }
  // Whoever knows the agent only from now on finds no row of it; what it has already is taken away here.
  parts.sessions.remove(
    record.agentId,
    new FleetError("AGENT_REVOKED", "the host was deleted from the fleet"),
  );
  parts.inventory.removeHost(record.id);
  await parts.dispatcher.hostRemoved(record.agentId);
  return last;
}

function messageOf({ inventory, dispatcher, sessions }: HostServiceParts, record: HostRecord) {
  const session = sessions.current(record.agentId);
  const contact =
    session === undefined
      ? undefined
      : { lastSeenTime: session.lastSeenTime, clockOffsetMs: session.clockOffset.ms };
  return hostMessage(record, inventory.host(record.id), dispatcher.circuitState(record.agentId), contact);
}

async function requireRecord(
  { storage, inventory }: HostServiceParts,
  reference: string,
): Promise<HostRecord> {
  const record = await storage.fleet.find(reference);
  if (record === undefined) {
    // The inventory knows the names that may have been meant.
    inventory.requireHost(reference);
    throw hostNotFound(reference);
  }
  return record;
}

function hostNotFound(reference: string): FleetError {
  return new FleetError("HOST_NOT_FOUND", `the fleet has no host "${reference}"`, {
    metadata: { host: reference },
  });
}
