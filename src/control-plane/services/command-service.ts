import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import type { CommandState as CommandStateWord } from "../../domain/command-state.ts";
import { FleetError } from "../../domain/errors.ts";
import { type Command, CommandSchema, CommandState } from "../../gen/fairlead/command/v1/command_pb.js";
import {
  type CommandService,
  type ListCommandsRequest,
  ListCommandsRequestSchema,
} from "../../gen/fairlead/command/v1/command_service_pb.js";
import type { CommandRecord } from "../../storage/records.ts";
import type { Storage } from "../../storage/storage.ts";
import type { FleetInventory } from "../inventory/fleet-inventory.ts";
import { historicHostId } from "./host-history.ts";
import { readPage } from "./page.ts";
import { timestampOrUnset } from "./timestamps.ts";

/** What the command service needs. */
export interface CommandServiceParts {
  readonly storage: { readonly commands: Pick<Storage["commands"], "get" | "list"> };
  readonly inventory: FleetInventory;
}

const stateOfWord: Record<CommandStateWord, CommandState> = {
  PENDING: CommandState.PENDING,
  DISPATCHED: CommandState.DISPATCHED,
  ACCEPTED: CommandState.ACCEPTED,
  SUCCEEDED: CommandState.SUCCEEDED,
  FAILED: CommandState.FAILED,
  CANCELLED: CommandState.CANCELLED,
  EXPIRED: CommandState.EXPIRED,
  OUTCOME_UNKNOWN: CommandState.OUTCOME_UNKNOWN,
};

/** Tells what became of commands, from the journal. */
export function createCommandService(parts: CommandServiceParts): ServiceImpl<typeof CommandService> {
  return {
    async getCommand({ id }) {
      const record = await parts.storage.commands.get(id);
      if (record === undefined) {
        throw new FleetError("COMMAND_NOT_FOUND", `there is no command "${id}", or it is no longer kept`, {
          metadata: { command_id: id },
        });
      }
      return { command: commandMessage(record) };
    },
    listCommands: (request) => listCommands(parts, request),
  };
}

async function listCommands({ storage, inventory }: CommandServiceParts, request: ListCommandsRequest) {
  const hostId = request.host === "" ? undefined : historicHostId(inventory, request.host);
  const states = wordsOf(request.states);
  const page = await readPage<typeof ListCommandsRequestSchema, CommandRecord, { id: string }>(
    ListCommandsRequestSchema,
    request,
    {
      fields: { id: "string" },
      position: ({ id }) => ({ id }),
      read: (before, limit) =>
        storage.commands.list({
          hostId,
          container: request.container === "" ? undefined : request.container,
          states,
          beforeId: before?.id,
          limit,
        }),
    },
  );
  return { commands: page.items.map(commandMessage), nextPageToken: page.nextPageToken };
}

function wordsOf(states: readonly CommandState[]): CommandStateWord[] | undefined {
  const words = Object.keys(stateOfWord) as CommandStateWord[];
  return states.length === 0 ? undefined : words.filter((word) => states.includes(stateOfWord[word]));
}

function commandMessage(record: CommandRecord): Command {
  return create(CommandSchema, {
    id: record.id,
    operation: record.operation,
    hostId: record.hostId,
    hostName: record.hostName,
    agentId: record.agentId,
    container: record.container,
    caller: record.caller,
    requestId: record.requestId,
    state: stateOfWord[record.state],
    reason: record.reason,
    message: record.message,
    metadata: { ...record.metadata },
    changed: record.changed,
    attempt: record.attempt,
    sessionEpoch: record.sessionEpoch,
    timeout: durationFromMs(record.timeoutMs),
    createTime: timestampFromMs(record.createTime),
    dispatchTime: timestampOrUnset(record.dispatchTime),
    acceptTime: timestampOrUnset(record.acceptTime),
    endTime: timestampOrUnset(record.endTime),
    // The wall clock may have been set back meanwhile, and no duration is negative.
    duration:
      record.endTime === undefined
        ? undefined
        : durationFromMs(Math.max(0, record.endTime - record.createTime)),
  });
}
