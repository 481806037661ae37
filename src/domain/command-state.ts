/**
 * Where a journaled command is. `PENDING` is written and not sent; `DISPATCHED` is sent; `ACCEPTED` is in the
 * agent's journal; the others are ends, and an end never changes.
 */
export type CommandState =
  | "PENDING"
  | "DISPATCHED"
  | "ACCEPTED"
  | "SUCCEEDED"
  | "FAILED"
  | "CANCELLED"
  | "EXPIRED"
  | "OUTCOME_UNKNOWN";

const ends = ["SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "OUTCOME_UNKNOWN"] as const;

/** An end of a command. */
export type CommandEnd = (typeof ends)[number];

const successors: Record<CommandState, readonly CommandState[]> = {
  PENDING: ["DISPATCHED", "ACCEPTED", ...ends],
  // Sent again in a later session, or as a later attempt.
  DISPATCHED: ["DISPATCHED", "ACCEPTED", ...ends],
  // Back to DISPATCHED only as a later attempt, after the agent has answered the one before it.
  ACCEPTED: ["DISPATCHED", "ACCEPTED", ...ends],
  SUCCEEDED: [],
  FAILED: [],
  CANCELLED: [],
  EXPIRED: [],
  OUTCOME_UNKNOWN: [],
};

/** Whether the state is an end. */
export function hasEnded(state: CommandState): state is CommandEnd {
  return successors[state].length === 0;
}

/** Whether a command in one state may go to another. The first end wins for ever. */
export function canBecome(from: CommandState, to: CommandState): boolean {
  return successors[from].includes(to);
}
