import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { type Event, EventSchema } from "../../gen/fairlead/event/v1/event_pb.js";
import {
  type EventService,
  type EventFilter as FilterMessage,
  type ListEventsRequest,
  ListEventsRequestSchema,
  type WatchEventsRequest,
} from "../../gen/fairlead/event/v1/event_service_pb.js";
import { portions } from "../../resilience/portions.ts";
import type { EventRecord } from "../../storage/records.ts";
import type { EventFilter } from "../events/event-filter.ts";
import type { EventLog } from "../events/event-log.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import type { HostTest } from "../inventory/host-view.ts";
import { seenBy } from "./calling.ts";
import { historicHostId } from "./host-history.ts";
import { readPage } from "./page.ts";
import { SeenEvents } from "./seen-events.ts";

/** What the event service needs. */
export interface EventServiceParts {
  readonly events: Pick<EventLog, "list" | "watch">;
  readonly inventory: FleetInventory;
}

/** Tells what happened, and what happens. */
export function createEventService(parts: EventServiceParts): ServiceImpl<typeof EventService> {
  return {
    listEvents: (request, { values }) => listEvents(parts, request, seenBy(values)),
    watchEvents: (request, context) => watchEvents(parts, request, context),
  };
}

async function listEvents(
  { events, inventory }: EventServiceParts,
  request: ListEventsRequest,
  sees: HostTest,
) {
  const filter = new SeenEvents(inventory, sees).limit(filterOf(inventory, request.filter, sees));
  const page = await readPage<typeof ListEventsRequestSchema, EventRecord, { sequence: number }>(
    ListEventsRequestSchema,
    request,
    {
      fields: { sequence: "number" },
      position: ({ sequence }) => ({ sequence }),
      read: (after, limit) => events.list(filter, after?.sequence ?? Number(request.afterSequence), limit),
    },
  );
  return { events: page.items.map(eventMessage), nextPageToken: page.nextPageToken };
}

async function* watchEvents(
  { events, inventory }: EventServiceParts,
  { filter, afterSequence, maxBatchSize }: WatchEventsRequest,
  { signal, values }: HandlerContext,
) {
  const sees = seenBy(values);
  const wanted = filterOf(inventory, filter, sees);
  const seen = new SeenEvents(inventory, sees);
  const after = afterSequence === undefined ? undefined : Number(afterSequence);
  for await (const { events: told, cursor } of events.watch(() => seen.limit(wanted), after, signal)) {
    if (told.length === 0) yield { cursor: BigInt(cursor) };
    else if (maxBatchSize === 0) yield* told.map(singleMessage);
    else yield* Array.from(portions(told, maxBatchSize), batchMessage);
  }
}

function singleMessage(record: EventRecord) {
  return { event: eventMessage(record), cursor: BigInt(record.sequence) };
}

function batchMessage(records: readonly EventRecord[]) {
  const events = records.map(eventMessage);
  return { events, cursor: events.at(-1)?.sequence ?? 0n };
}

function filterOf(inventory: FleetInventory, filter: FilterMessage | undefined, sees: HostTest): EventFilter {
  const { types = [], hosts = [], container = "", commandId = "" } = filter ?? {};
  return {
    ...(types.length === 0 ? {} : { types }),
    ...(hosts.length === 0 ? {} : { hostIds: hosts.map((host) => historicHostId(inventory, host, sees)) }),
    ...(container === "" ? {} : { container }),
    ...(commandId === "" ? {} : { commandId }),
  };
}

function eventMessage(record: EventRecord): Event {
  return create(EventSchema, {
    sequence: BigInt(record.sequence),
    type: record.type,
    eventTime: timestampFromMs(record.eventTime),
    recordTime: timestampFromMs(record.recordTime),
    hostId: record.hostId,
    hostName: record.hostName,
    containerId: record.containerId,
    containerName: record.containerName,
    commandId: record.commandId,
    actor: record.actor,
    attributes: { ...record.attributes },
  });
}
