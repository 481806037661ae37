/** Settings of the agents' listener and its sessions. Defaults: docs/protocol.md "The session" and "Limits". */
export interface SessionSettings {
  /** How often each side sends something, in milliseconds. */
  readonly heartbeatIntervalMs: number;
  /** How long silence is allowed, in milliseconds. */
  readonly leaseMs: number;
  /** How long the hello may take, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** How many streams may be without identity at once. */
  readonly maxHandshakes: number;
  /** Largest frame in bytes, in either direction. */
  readonly maxFrameBytes: number;
  /** How many bytes may wait for one agent. */
  readonly maxQueuedBytes: number;
  /** How many facts of one agent may wait to be stored before its stream is read no further. */
  readonly maxUnstoredEvents: number;
}

/** The defaults. */
export const defaultSessionSettings: SessionSettings = {
  heartbeatIntervalMs: 15_000,
  leaseMs: 45_000,
  handshakeTimeoutMs: 30_000,
  maxHandshakes: 1_024,
  maxFrameBytes: 64 * 1024,
  maxQueuedBytes: 4 * 1024 * 1024,
  maxUnstoredEvents: 1_000,
};
