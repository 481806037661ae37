/** Settings of the agents' listener and its sessions. Defaults: docs/protocol.md "The session" and "Limits". */
export interface SessionSettings {
  /** How often each side sends something, in milliseconds. */
  readonly heartbeatIntervalMs: number;
  /** How long silence is allowed, in milliseconds. */
  readonly leaseMs: number;
  /** How long the hello may take, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** How many strangers are heard at once; the others wait their turn within the time for a handshake. */
  readonly maxHandshakes: number;
  /** How many of them from one address. */
  readonly maxHandshakesEach: number;
  /** How many streams may be without identity at all, waiting or heard. Beyond that a stream is refused. */
  readonly maxWaitingStreams: number;
  /** How many failed handshakes within a minute cost an address nothing; further ones make it wait. */
  readonly maxFailedHandshakes: number;
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
  maxHandshakesEach: 256,
  maxWaitingStreams: 16_384,
  maxFailedHandshakes: 20,
  maxFrameBytes: 64 * 1024,
  maxQueuedBytes: 4 * 1024 * 1024,
  maxUnstoredEvents: 1_000,
};
