import { FleetError } from "../../domain/errors.ts";
import type { Command } from "../../gen/fairlead/agent/v1/command_pb.js";
import { operationTraits } from "../../rpc/operation-traits.ts";
import type { Journal } from "./journal.ts";
import { commandViolations, type KnownOperation, knownOperation } from "./operations/command-codec.ts";

/** What is to be done with a command that arrived. */
export type Admission =
  | { readonly kind: "run"; readonly operation: KnownOperation }
  /** It was accepted before and has not ended: say so again. */
  | { readonly kind: "known" }
  /** It has ended before: say how. */
  | { readonly kind: "ended"; readonly result: Uint8Array }
  | { readonly kind: "refused"; readonly error: FleetError };

/** What a decision depends on. */
export interface AdmissionState {
  readonly journal: Journal;
  readonly largestEpoch: number;
  readonly draining: boolean;
  readonly full: boolean;
  readonly isInFlight: (commandId: string) => boolean;
}

/**
 * Decides about a command. One that the journal knows is never run again, unless its last attempt ended with a failure
 * that a retry can help and this is a later one.
 */
export function admit(command: Command, state: AdmissionState): Admission {
  try {
    const operation = checkedOperation(command, state.largestEpoch);
    if (state.isInFlight(command.commandId)) return { kind: "known" };
    const known = operationTraits(operation.case).mutates
      ? admissionOfKnown(command, state.journal)
      : undefined;
    return known ?? admissionOfNew(operation, state);
  } catch (error) {
    if (error instanceof FleetError) return { kind: "refused", error };
    throw error;
  }
}

function checkedOperation(command: Command, largestEpoch: number): KnownOperation {
  const violations = commandViolations(command);
  if (violations.length > 0) {
    throw new FleetError("INVALID_ARGUMENT", "the command breaks a bound of the schema", { violations });
  }
  if (command.sessionEpoch < largestEpoch) {
    throw new FleetError("STALE_EPOCH", "the command comes from a session that was superseded", {
      metadata: { epoch: `${command.sessionEpoch}`, largest_epoch: `${largestEpoch}` },
    });
  }
  const operation = knownOperation(command);
  if (operation !== undefined) return operation;
  throw new FleetError("OPERATION_UNSUPPORTED", "this version of the agent does not know the operation");
}

function admissionOfKnown({ commandId, attempt }: Command, journal: Journal): Admission | undefined {
  const row = journal.find(commandId);
  if (row === undefined) return undefined;
  if (row.state === "running") return { kind: "known" };
  if (row.retryable && attempt > row.attempt) return undefined;
  if (row.result !== undefined) return { kind: "ended", result: row.result };
  const error = new FleetError(
    "OUTCOME_UNKNOWN",
    "it was run before, and its result was acknowledged and forgotten",
  );
  return { kind: "refused", error };
}

function admissionOfNew(operation: KnownOperation, { draining, full }: AdmissionState): Admission {
  if (draining) throw new FleetError("DRAINING", "the agent is about to stop");
  if (full) throw new FleetError("AGENT_BUSY", "too many commands wait at the agent");
  return { kind: "run", operation };
}
