import type { ServiceImpl } from "@connectrpc/connect";
import { FleetError } from "../../domain/errors.ts";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import {
  type HostService,
  type ListHostsRequest,
  ListHostsRequestSchema,
  type UpdateHostRequest,
} from "../../gen/fairlead/host/v1/host_service_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { HostRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { type Actor, doneBy } from "../events/actor.ts";
import type { EventLog } from "../events/event-log.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { everyHost, type HostTest } from "../inventory/host-view.ts";
import type { Sessions } from "../session/session-registry.ts";
import type { KeyRotations } from "../session/key-rotations.ts";
import { actorOf, requireWholeFleet, seenBy } from "./calling.ts";
import { diskUsageOf } from "./disk-usage.ts";
import { liftEngineBan, listEngineBans } from "./engine-bans.ts";
import { hostMessage } from "./host-message.ts";
import { readPage } from "./page.ts";

/** What the host service needs. */
export interface HostServiceParts {
  readonly storage: {
    readonly fleet: Pick<Storage["fleet"], "list" | "find" | "update" | "remove" | "bans" | "liftBan">;
  };
  readonly inventory: FleetInventory;
  readonly events: Pick<EventLog, "make">;
  readonly sessions: Pick<Sessions, "remove" | "current" | "rename">;
  readonly dispatcher: Pick<Dispatcher, "dispatch" | "hostRemoved" | "circuitState">;
  readonly rotations: Pick<KeyRotations, "rotate">;
  readonly clock: Clock;
}

/** Sees, labels, renames and deletes the hosts of the fleet. */
export function createHostService(parts: HostServiceParts): ServiceImpl<typeof HostService> {
  return {
    listHosts: (request, { values }) => listHosts(parts, request, seenBy(values)),
    async getHost({ host }, { values }) {
      const record = await requireRecord(parts, host, seenBy(values));
      return { host: messageOf(parts, record) };
    },
    async updateHost(request, { values }) {
      const record = await requireRecord(parts, request.host, seenBy(values));
      return { host: messageOf(parts, await updateHost(parts, record, request, actorOf(values))) };
    },
    async deleteHost({ host, ban }, { values }) {
      if (ban) requireWholeFleet(values);
      const record = await requireRecord(parts, host, seenBy(values));
      return { host: await deleteHost(parts, record, { reference: host, ban }, actorOf(values)) };
    },
    listEngineBans(request, { values }) {
      requireWholeFleet(values);
      return listEngineBans(parts, request);
    },
    liftEngineBan({ engineId }, { values }) {
      requireWholeFleet(values);
      return liftEngineBan(parts, engineId, actorOf(values));
    },
    async getDiskUsage(request, context) {
      const record = await requireRecord(parts, request.host, seenBy(context.values));
      return { usage: await diskUsageOf(parts, record, request, context) };
    },
    async rotateAgentKey({ host }, { values }) {
      const { agentId } = await requireRecord(parts, host, seenBy(values));
      return { keyDigest: await parts.rotations.rotate(agentId, actorOf(values)) };
    },
  };
}

async function listHosts(parts: HostServiceParts, request: ListHostsRequest, sees: HostTest) {
  const page = await readPage<typeof ListHostsRequestSchema, HostRecord, { name: string; id: string }>(
    ListHostsRequestSchema,
    request,
    {
      fields: { name: "string", id: "string" },
      position: ({ name, id }) => ({ name, id }),
      read: (after, limit) => readSeen(parts, after, limit, sees),
    },
  );
  return {
    hosts: page.items.map((record) => messageOf(parts, record)),
    nextPageToken: page.nextPageToken,
  };
}

// Page by page, because what exists for a caller is nothing that the database knows.
async function readSeen(
  { storage, inventory }: HostServiceParts,
  after: { name: string; id: string } | undefined,
  limit: number,
  sees: HostTest,
): Promise<HostRecord[]> {
  if (sees === everyHost) {
    return storage.fleet.list(after, limit);
  }
  const found: HostRecord[] = [];
  let position = after;
  for (;;) {
    const records = await storage.fleet.list(position, limit);
    found.push(...records.filter(({ id }) => inventory.host(id, sees)?.hostId === id));
    position = records.at(-1);
    if (found.length >= limit || records.length < limit) {
      return found.slice(0, limit);
    }
  }
}

async function updateHost(
  parts: HostServiceParts,
  record: HostRecord,
  { displayName: name, labels }: UpdateHostRequest,
  actor: Actor,
): Promise<HostRecord> {
  const change = { name, labels: labels?.labels };
  const update = await parts.storage.fleet.update(record.id, change, (host, previousName) => [
    parts.events.make({
      type: EventType.HOST_UPDATED,
      hostId: host.id,
      hostName: host.name,
      ...doneBy(actor, {
        name: host.name,
        labels: JSON.stringify(host.labels),
        previous_name: previousName,
      }),
    }),
  ]);
  if (update.kind === "refused") {
    throw update.cause === "UNKNOWN" ? hostNotFound(record.name) : nameInUse(name ?? "");
  }
  const { host } = update;
  parts.sessions.rename(host.agentId, host.name);
  parts.inventory.setHost({
    hostId: host.id,
    hostName: host.name,
    agentId: host.agentId,
    labels: host.labels,
  });
  return host;
}

async function deleteHost(
  parts: HostServiceParts,
  record: HostRecord,
  { reference, ban }: { readonly reference: string; readonly ban: boolean },
  actor: Actor,
) {
  const last = messageOf(parts, record);
  const about = { hostId: record.id, hostName: record.name };
  const events = [parts.events.make({ type: EventType.HOST_DELETED, ...about, ...doneBy(actor) })];
  const { engineId } = record;
  if (ban) {
    const banned = doneBy(actor, { engine_id: engineId });
    events.push(parts.events.make({ type: EventType.ENGINE_BANNED, ...about, ...banned }));
  }
  const banRecord = ban
    ? { engineId, hostName: record.name, bannedBy: actor.name, banTime: parts.clock.now() }
    : undefined;
  if (!(await parts.storage.fleet.remove(record.id, events, banRecord))) {
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
  sees: HostTest,
): Promise<HostRecord> {
  // For whom not all hosts exist, a name is that of a host that does.
  const id = sees === everyHost ? reference : inventory.requireHost(reference, sees).hostId;
  const record = await storage.fleet.find(id);
  if (record === undefined) {
    // The inventory knows the names that may have been meant.
    inventory.requireHost(reference, sees);
    throw hostNotFound(reference);
  }
  return record;
}

function nameInUse(name: string): FleetError {
  return new FleetError("HOST_NAME_IN_USE", `another host is called ${JSON.stringify(name)} already`, {
    metadata: { name },
  });
}

function hostNotFound(reference: string): FleetError {
  return new FleetError("HOST_NOT_FOUND", `the fleet has no host "${reference}"`, {
    metadata: { host: reference },
  });
}
