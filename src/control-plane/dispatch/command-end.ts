import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { CommandEnd } from "../../domain/command-state.ts";
import { FleetError, isReason, type Reason } from "../../domain/errors.ts";
import type { CommandResult, Failure } from "../../gen/fairlead/agent/v1/command_pb.js";
import { OperationOutcomeSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import { messageBytes } from "../../rpc/message-writer.ts";
import type { CommandRecord } from "../../storage/records.ts";

/** How a command ended, as the journal keeps it. */
export interface EndOfCommand {
  readonly state: CommandEnd;
  /** Empty for a good end. */
  readonly reason: Reason | "";
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly changed: boolean;
  /** Serialised OperationOutcome; empty unless the end is good. */
  readonly outcome: Uint8Array;
}

const nothing = new Uint8Array(0);

/** The end that an agent's result tells of. */
export function endFromResult(result: CommandResult): EndOfCommand {
  if (result.end.case === "outcome") {
    const { value } = result.end;
    const outcome = messageBytes(OperationOutcomeSchema, value);
    return { state: "SUCCEEDED", reason: "", message: "", metadata: {}, changed: value.changed, outcome };
  }
  if (result.end.case === undefined) {
    return endFromError(
      new FleetError("INVALID_RESULT", "the agent's result says neither success nor failure"),
    );
  }
  return endFromError(
    errorFromFailure(result.end.value),
    result.startedTime !== undefined && timestampMs(result.startedTime) > 0,
  );
}

/** The end that an error stands for. `started` says whether the agent may have begun to execute the command. */
export function endFromError(error: FleetError, started = true): EndOfCommand {
  return {
    state: stateOf(error.reason, started),
    reason: error.reason,
    message: error.message,
    metadata: error.metadata,
    changed: false,
    outcome: nothing,
  };
}

/** The error that a bad end stands for; undefined for a good one. */
export function errorOfEnd({ reason, message, metadata }: EndOfCommand): FleetError | undefined {
  return reason === "" ? undefined : new FleetError(reason, message, { metadata });
}

/** The error that the journal keeps of a command that ended badly. */
export function errorOfRecord({ id, reason, message, metadata }: CommandRecord): FleetError {
  return new FleetError(isReason(reason) ? reason : "OPERATION_FAILED", message, {
    metadata: { ...metadata, command_id: id },
  });
}

/** An agent's failure as an error. One without text is still a failure, and a reason of a newer agent keeps its word as metadata. */
export function errorFromFailure({ reason, message, metadata }: Failure): FleetError {
  const known = isReason(reason) ? reason : "OPERATION_FAILED";
  const unknown = known === reason || reason === "" ? {} : { reason };
  return new FleetError(
    known,
    message || `the agent reported ${reason || "a failure"} and said nothing more about it`,
    {
      metadata: { ...metadata, ...unknown },
    },
  );
}

function stateOf(reason: Reason, started: boolean): CommandEnd {
  if (reason === "OUTCOME_UNKNOWN") return "OUTCOME_UNKNOWN";
  if (reason === "CANCELLED" && !started) return "CANCELLED";
  if (reason === "COMMAND_EXPIRED" || (reason === "DEADLINE_EXCEEDED" && !started)) return "EXPIRED";
  return "FAILED";
}
