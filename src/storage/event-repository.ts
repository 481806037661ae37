import type { EventRecord } from "./records.ts";

/** Which events to list; what is undefined does not filter. */
export interface EventQuery {
  readonly afterSequence: number;
  /** The last sequence that may be in the answer. */
  readonly upTo?: number | undefined;
  readonly types?: readonly number[] | undefined;
  readonly hostIds?: readonly string[] | undefined;
  /** A container's full id or its name. */
  readonly container?: string | undefined;
  readonly commandId?: string | undefined;
  readonly limit: number;
}

/** The event log. It is written by `Storage.commit` and by the transactions of the other repositories. */
export interface EventRepository {
  /** Oldest first. */
  list(query: EventQuery): Promise<EventRecord[]>;
  /** The newest events of a host before a sequence, newest first. Undefined: the newest of all. */
  newestOfHost(hostId: string, beforeSequence: number | undefined, limit: number): Promise<EventRecord[]>;
  /** The newest sequence; 0 when there was never an event. */
  newest(): Promise<number>;
  /** The oldest sequence that is kept; 0 when there was never an event. */
  oldest(): Promise<number>;
  /**
   * Deletes at most `batch` of the oldest events, as long as they were recorded before `before` or are more than the
   * `keepAtMost` newest ones. The newest event of all is always kept: it says where the log stands. Returns how
   * many; fewer than `batch` means that none is left to delete.
   */
  prune(rule: {
    readonly before: number;
    readonly keepAtMost: number;
    readonly batch: number;
  }): Promise<number>;
}
