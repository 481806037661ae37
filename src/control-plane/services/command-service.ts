import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { FleetError } from "../../domain/errors.ts";
import { hasEnded } from "../../domain/command-state.ts";
import {
  type CommandService,
  type ListCommandsRequest,
  ListCommandsRequestSchema,
} from "../../gen/fairlead/command/v1/command_service_pb.js";
import { linkSignal, untilAborted } from "../../resilience/signals.ts";
import type { CommandRecord } from "../../storage/records.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { commandNotFound } from "../dispatch/dispatch-request.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { everyHost, type HostTest } from "../inventory/host-view.ts";
import { seenBy } from "./calling.ts";
import { endWhenHidden } from "./end-when-hidden.ts";
import { commandMessage, commandStateWords } from "./command-message.ts";
import { msOrUnset } from "./durations.ts";
import { historicHostId, seenHostIds } from "./host-history.ts";
import { readPage } from "./page.ts";

/** What the command service needs. */
export interface CommandServiceParts {
  readonly inventory: FleetInventory;
  readonly dispatcher: Pick<Dispatcher, "find" | "list" | "wait" | "cancel" | "watch">;
}

const defaultWaitMs = 30_000;
const defaultCancelMs = 10_000;

/** Tells what became of commands, and cancels them. */
export function createCommandService(parts: CommandServiceParts): ServiceImpl<typeof CommandService> {
  const { dispatcher } = parts;
  return {
    async getCommand({ id }, { values }) {
      return { command: commandMessage(await findSeen(parts, id, seenBy(values))) };
    },
    async waitCommand({ id, timeout }, { signal, values }) {
      await findSeen(parts, id, seenBy(values));
      const record = await dispatcher.wait(id, msOrUnset(timeout) ?? defaultWaitMs, signal);
      checkSeen(parts, record, seenBy(values));
      return { command: commandMessage(record) };
    },
    async cancelCommand({ id, timeout }, { signal, values }) {
      await findSeen(parts, id, seenBy(values));
      const record = await dispatcher.cancel(id, msOrUnset(timeout) ?? defaultCancelMs, signal);
      return { command: commandMessage(record) };
    },
    async *watchCommand({ id }, { signal, values }) {
      const sees = seenBy(values);
      const { hostId, hostName } = await findSeen(parts, id, sees);
      const scope = linkSignal(signal);
      try {
        endWhenHidden(parts.inventory, {
          host: { hostId, hostName },
          sees,
          scope,
          reason: commandNotFound(id),
        });
        for await (const record of follow(dispatcher, id, scope.signal)) {
          yield { command: commandMessage(record) };
        }
      } finally {
        scope.abort(new FleetError("CANCELLED", "the call has ended"));
        scope.release();
      }
    },
    listCommands: (request, { values }) => listCommands(parts, request, seenBy(values)),
  };
}

/** A command, unless it is of a host that does not exist for the caller. Rejects with COMMAND_NOT_FOUND. */
async function findSeen(parts: CommandServiceParts, id: string, sees: HostTest): Promise<CommandRecord> {
  const record = await parts.dispatcher.find(id);
  checkSeen(parts, record, sees);
  return record;
}

function checkSeen({ inventory }: CommandServiceParts, { id, hostId }: CommandRecord, sees: HostTest): void {
  if (sees !== everyHost && inventory.host(hostId, sees) === undefined) {
    throw commandNotFound(id);
  }
}

/** A command now and after each change, until its end. A reader that is slow sees the latest; what it missed is in the transitions. */
async function* follow(
  dispatcher: CommandServiceParts["dispatcher"],
  id: string,
  signal: AbortSignal,
): AsyncGenerator<CommandRecord, void> {
  let latest: CommandRecord | undefined;
  let news = Promise.withResolvers<void>();
  const tell = (record: CommandRecord) => {
    latest = record;
    news.resolve();
  };
  const stop = dispatcher.watch(id, { changed: tell, ended: tell });
  try {
    let record = await dispatcher.find(id);
    yield record;
    while (!hasEnded(record.state)) {
      await untilAborted(news.promise, signal);
      news = Promise.withResolvers<void>();
      record = latest ?? record;
      yield record;
    }
  } finally {
    stop?.();
  }
}

async function listCommands(
  { dispatcher, inventory }: CommandServiceParts,
  request: ListCommandsRequest,
  sees: HostTest,
) {
  const { createdSinceTime, createdBeforeTime } = request;
  const filter = {
    hostId: request.host === "" ? undefined : historicHostId(inventory, request.host, sees),
    hostIds: seenHostIds(inventory, sees),
    container: request.container === "" ? undefined : request.container,
    states: commandStateWords(request.states),
    reasons: request.reasons.length === 0 ? undefined : request.reasons,
    caller: request.caller === "" ? undefined : request.caller,
    createdSince: createdSinceTime === undefined ? undefined : timestampMs(createdSinceTime),
    createdBefore: createdBeforeTime === undefined ? undefined : timestampMs(createdBeforeTime),
  };
  const page = await readPage<typeof ListCommandsRequestSchema, CommandRecord, { id: string }>(
    ListCommandsRequestSchema,
    request,
    {
      fields: { id: "string" },
      position: ({ id }) => ({ id }),
      read: (before, limit) => dispatcher.list({ ...filter, beforeId: before?.id, limit }),
    },
  );
  return { commands: page.items.map(commandMessage), nextPageToken: page.nextPageToken };
}
