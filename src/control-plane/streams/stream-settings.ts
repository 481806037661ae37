/** Settings of data streams. Defaults: docs/protocol.md "Limits". */
export interface StreamSettings {
  /** How many one agent may hold at once. */
  readonly maxStreamsEach: number;
  /** How many in all. */
  readonly maxStreams: number;
  /** How long a ticket may be used, in milliseconds. */
  readonly ticketMs: number;
}

/** The defaults. */
export const defaultStreamSettings: StreamSettings = {
  maxStreamsEach: 32,
  maxStreams: 1_024,
  ticketMs: 30_000,
};
