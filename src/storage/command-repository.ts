import type { CommandState } from "../domain/command-state.ts";
import type { CommandRecord } from "./records.ts";

/** Which commands to list; what is undefined does not filter. */
export interface CommandQuery {
  readonly hostId?: string | undefined;
  /** Of any of these hosts; of none when it is empty. */
  readonly hostIds?: readonly string[] | undefined;
  /** Its full id, or the name that it had when the command was created. */
  readonly container?: string | undefined;
  readonly states?: readonly CommandState[] | undefined;
  readonly reasons?: readonly string[] | undefined;
  readonly caller?: string | undefined;
  /** Created then or later. */
  readonly createdSince?: number | undefined;
  /** Created earlier. */
  readonly createdBefore?: number | undefined;
  /** Only commands with a smaller id. */
  readonly beforeId?: string | undefined;
  readonly limit: number;
}

/** Journaled commands. They are written by `Storage.commit`. */
export interface CommandRepository {
  get(id: string): Promise<CommandRecord | undefined>;
  /** Which of these commands are known and were for this agent. */
  ofAgent(agentId: string, ids: readonly string[]): Promise<string[]>;
  /** Those that have not ended, oldest first. */
  open(): Promise<CommandRecord[]>;
  /** The newest command that this caller created with this key at `since` or later. */
  findByRequest(caller: string, requestId: string, since: number): Promise<CommandRecord | undefined>;
  /** Newest first. */
  list(query: CommandQuery): Promise<CommandRecord[]>;
  /** How many have ended. Counts them, which takes some milliseconds for a million. */
  countEnded(): Promise<number>;
  /** Looks at the next ended commands, the oldest first, and empties the outcomes of those operations. */
  forgetOutcomes(rule: OutcomeForgetting): Promise<ForgottenOutcomes>;
  /** Looks at the next ended commands, the oldest first, and deletes those that the rule says. */
  prune(rule: CommandPruning): Promise<PrunedCommands>;
}

/** The place of an ended command among them, in the order of their ends. */
export interface CommandPosition {
  readonly endTime: number;
  readonly id: string;
}

/** Which outcomes are not kept any longer. */
export interface OutcomeForgetting {
  /** By the name in the journal. */
  readonly operations: readonly string[];
  /** Of commands that ended earlier. */
  readonly endedBefore: number;
  /** Where the look before this one ended. Undefined: begins with the oldest. */
  readonly after: CommandPosition | undefined;
  /** How many to look at. */
  readonly batch: number;
}

/** What became of it. */
export interface ForgottenOutcomes {
  /** Where the next look begins, now or later. */
  readonly last: CommandPosition | undefined;
  /** There is nothing to look at behind it now. */
  readonly done: boolean;
}

/** Which ended commands to delete. */
export interface CommandPruning {
  /** All that ended earlier. */
  readonly endedBefore: number;
  /** So many more, the oldest first. */
  readonly excess: number;
  /** A command with a caller's key that was created then or later stays in any case: the key still stands for it. */
  readonly keysSince: number;
  /** Where the look before this one ended. Undefined: begins with the oldest. */
  readonly after?: CommandPosition | undefined;
  /** How many to look at. */
  readonly batch: number;
}

/** What one look has done. */
export interface PrunedCommands {
  readonly deleted: number;
  /** Where to go on. Undefined: nothing behind it is to be deleted. */
  readonly last: CommandPosition | undefined;
}
