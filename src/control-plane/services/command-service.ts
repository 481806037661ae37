import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { hasEnded } from "../../domain/command-state.ts";
import {
  type CommandService,
  type ListCommandsRequest,
  ListCommandsRequestSchema,
} from "../../gen/fairlead/command/v1/command_service_pb.js";
import { untilAborted } from "../../resilience/signals.ts";
import type { CommandRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { commandMessage, commandStateWords } from "./command-message.ts";
import { msOrUnset } from "./durations.ts";
import { historicHostId } from "./host-history.ts";
import { readPage } from "./page.ts";

/** What the command service needs. */
export interface CommandServiceParts {
  readonly storage: { readonly commands: Pick<Storage["commands"], "list"> };
  readonly inventory: FleetInventory;
  readonly dispatcher: Pick<Dispatcher, "find" | "wait" | "cancel" | "watch">;
}

const defaultWaitMs = 30_000;
const defaultCancelMs = 10_000;

/** Tells what became of commands, and cancels them. */
export function createCommandService(parts: CommandServiceParts): ServiceImpl<typeof CommandService> {
  const { dispatcher } = parts;
  return {
    async getCommand({ id }) {
      return { command: commandMessage(await dispatcher.find(id)) };
    },
    async waitCommand({ id, timeout }, { signal }) {
      const record = await dispatcher.wait(id, msOrUnset(timeout) ?? defaultWaitMs, signal);
      return { command: commandMessage(record) };
    },
    async cancelCommand({ id, timeout }, { signal }) {
      const record = await dispatcher.cancel(id, msOrUnset(timeout) ?? defaultCancelMs, signal);
      return { command: commandMessage(record) };
    },
    async *watchCommand({ id }, { signal }) {
      for await (const record of follow(dispatcher, id, signal)) yield { command: commandMessage(record) };
    },
    listCommands: (request) => listCommands(parts, request),
  };
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

async function listCommands({ storage, inventory }: CommandServiceParts, request: ListCommandsRequest) {
  const { createdSinceTime, createdBeforeTime } = request;
  const filter = {
    hostId: request.host === "" ? undefined : historicHostId(inventory, request.host),
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
      read: (before, limit) => storage.commands.list({ ...filter, beforeId: before?.id, limit }),
    },
  );
  return { commands: page.items.map(commandMessage), nextPageToken: page.nextPageToken };
}
