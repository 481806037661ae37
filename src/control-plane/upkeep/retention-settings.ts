/** How long what has ended is kept, and how gently it is deleted. */
export interface RetentionSettings {
  /** Ended commands, in milliseconds since their end. Default 30 days. */
  readonly commandsMs: number;
  /** How many ended commands are kept at most. Default 1,000,000. Those whose callers' keys still count stay in any case. */
  readonly maxCommands: number;
  /** Events, in milliseconds since they were recorded. Default 30 days. */
  readonly eventsMs: number;
  /** How many events are kept at most. Default 1,000,000. */
  readonly maxEvents: number;
  /** Registration tokens, in milliseconds since they expired or were revoked. Default 90 days. */
  readonly tokensMs: number;
  /** How often it is looked for something to delete, in milliseconds. Default 5 minutes. */
  readonly intervalMs: number;
  /** How many rows one transaction looks at. Default 250. */
  readonly batch: number;
  /** How long everybody else has their turn between two such transactions, in milliseconds. Default 20. */
  readonly pauseMs: number;
}

const dayMs = 24 * 60 * 60_000;

export const defaultRetention: RetentionSettings = {
  commandsMs: 30 * dayMs,
  maxCommands: 1_000_000,
  eventsMs: 30 * dayMs,
  maxEvents: 1_000_000,
  tokensMs: 90 * dayMs,
  intervalMs: 5 * 60_000,
  batch: 250,
  pauseMs: 20,
};
