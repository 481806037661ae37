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
  // Sent again in a later session; back to PENDING when the agent has answered that it did nothing and a retry can help.
  DISPATCHED: ["PENDING", "DISPATCHED", "ACCEPTED", ...ends],
  ACCEPTED: ["PENDING", "DISPATCHED", "ACCEPTED", ...ends],
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
