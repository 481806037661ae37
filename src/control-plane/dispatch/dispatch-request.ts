import type { Operation, OperationOutcome } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { Preconditions } from "../../gen/fairlead/container/v1/preconditions_pb.js";
import { FleetError } from "../../domain/errors.ts";

/** The agent that a command is for. */
export interface CommandTarget {
  readonly hostId: string;
  readonly hostName: string;
  readonly agentId: string;
}

/** What to do when the agent has no session; see `OfflinePolicy` in the schema. */
export type WhenOffline = "fail-fast" | "wait" | "queue";

/** What somebody wants done. */
export interface DispatchRequest {
  readonly host: CommandTarget;
  readonly operation: Operation;
  /** The container as the command names it, for the journal. */
  readonly container: string;
  /** Its name now, for the journal. Default: as the command names it. */
  readonly containerName?: string | undefined;
  /** How long it may take, in milliseconds. Undefined: as the operation's traits say. */
  readonly timeoutMs: number | undefined;
  /** What the operation itself may wait for, in milliseconds; added to the operation's own default. */
  readonly graceMs?: number | undefined;
  /** What must hold of the container right before it is done. */
  readonly preconditions?: Preconditions | undefined;
  /** Default: fail fast. */
  readonly whenOffline?: WhenOffline;
  /** With "queue": until when it may start, in milliseconds since the epoch. Default: 24 hours from now. */
  readonly expireTime?: number | undefined;
  readonly caller: string;
  /** The API key that the caller had. */
  readonly callerKeyId?: string | undefined;
  /** Where the caller called from. */
  readonly callerAddress?: string | undefined;
  /** The caller's key; empty: none. Only for what changes something. */
  readonly requestId: string;
  /** Digest of the request that the key stands for. */
  readonly requestDigest: Uint8Array;
  /** The caller has gone, or its deadline has passed. Undoes nothing. */
  readonly signal: AbortSignal;
}

/** A command that ended well, or that was queued. */
export interface Dispatched {
  readonly commandId: string;
  /** Undefined: it was queued, and has not ended. */
  readonly outcome: OperationOutcome | undefined;
}

/** The host's agent has no session. */
export function agentOffline({ hostId, hostName }: CommandTarget): FleetError {
  return new FleetError("AGENT_OFFLINE", `the agent of host ${hostName} is not connected`, {
    metadata: { host_id: hostId, host_name: hostName },
  });
}

/** There is no such command, as far as whoever asks is to know. */
export function commandNotFound(commandId: string): FleetError {
  return new FleetError(
    "COMMAND_NOT_FOUND",
    `there is no command ${JSON.stringify(commandId)}, or it is no longer kept`,
    { metadata: { command_id: commandId } },
  );
}

/** The agent has enough to do. */
export function agentBusy({ hostName }: CommandTarget, why: string): FleetError {
  return new FleetError("AGENT_BUSY", `the agent of host ${hostName} is busy: ${why}`, {
    retryAfterMs: 1_000,
  });
}

/** A command is larger than a frame. */
export function commandTooLarge(bytes: number): FleetError {
  return new FleetError(
    "INVALID_ARGUMENT",
    `the command takes ${bytes} bytes, which is more than fits into one frame`,
  );
}
