import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { CommandState as CommandStateWord } from "../../domain/command-state.ts";
import { type Command, CommandSchema, CommandState } from "../../gen/fairlead/command/v1/command_pb.js";
import type { CommandRecord } from "../../storage/records.ts";
import { timestampOrUnset } from "./timestamps.ts";

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

/** The journal's words for states of the schema. Undefined for none: all of them are meant. */
export function commandStateWords(states: readonly CommandState[]): CommandStateWord[] | undefined {
  const words = Object.keys(stateOfWord) as CommandStateWord[];
  return states.length === 0 ? undefined : words.filter((word) => states.includes(stateOfWord[word]));
}

/** A command for a caller. */
export function commandMessage(record: CommandRecord): Command {
  return create(CommandSchema, {
    id: record.id,
    operation: record.operation,
    hostId: record.hostId,
    hostName: record.hostName,
    agentId: record.agentId,
    container: record.container,
    containerName: record.containerName,
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
    expireTime: timestampFromMs(record.expireTime),
    cancelRequested: record.cancelRequested,
    transitions: record.transitions.map(({ state, time, attempt, sessionEpoch }) => ({
      state: stateOfWord[state],
      transitionTime: timestampFromMs(time),
      attempt,
      sessionEpoch,
    })),
  });
}
