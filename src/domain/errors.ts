/** What each reason means for whoever decides what to do next. */
interface ReasonTraits {
  /** A retry of the same command can help, because it is certain that nothing was done. */
  readonly retryable: boolean;
  /** Speaks of the way to the engine, not of the request: it counts for the agent's circuit. */
  readonly infrastructure: boolean;
}

const passing: ReasonTraits = { retryable: true, infrastructure: true };
const busy: ReasonTraits = { retryable: true, infrastructure: false };
const broken: ReasonTraits = { retryable: false, infrastructure: true };
const final: ReasonTraits = { retryable: false, infrastructure: false };

/**
 * Every reason that an error can have, with its traits. The list is closed: what is not here is a bug, and reaches
 * nobody but the log. `rpc/status-of-reason.ts` gives each of them its one gRPC status.
 */
export const reasonTraits = {
  // The caller
  INVALID_ARGUMENT: final,
  INVALID_PAGE_TOKEN: final,
  UNAUTHENTICATED: final,
  PERMISSION_DENIED: final,
  REQUEST_ID_REUSED: final,
  CURSOR_EXPIRED: final,
  DEADLINE_EXCEEDED: broken,
  CANCELLED: final,
  RATE_LIMITED: busy,
  TOO_MANY_CALLS: busy,
  // What is looked for
  HOST_NOT_FOUND: final,
  HOST_AMBIGUOUS: final,
  COMMAND_NOT_FOUND: final,
  TOKEN_NOT_FOUND: final,
  KEY_NOT_FOUND: final,
  CONTAINER_NOT_FOUND: final,
  CONTAINER_AMBIGUOUS: final,
  IMAGE_NOT_FOUND: final,
  EXEC_NOT_FOUND: final,
  PATH_NOT_FOUND: final,
  // The way to the agent
  AGENT_OFFLINE: final,
  AGENT_DISCONNECTED: passing,
  AGENT_BUSY: busy,
  TOO_MANY_STREAMS: busy,
  STREAM_NOT_OPENED: broken,
  CIRCUIT_OPEN: final,
  DRAINING: busy,
  STORAGE_UNAVAILABLE: final,
  OVERLOADED: busy,
  // What the agent answers
  ENGINE_UNAVAILABLE: passing,
  ENGINE_FAILED: final,
  NAME_IN_USE: final,
  CONFLICT: final,
  PROTECTED_CONTAINER: final,
  DENIED_BY_HOST_POLICY: final,
  PRECONDITION_FAILED: final,
  OPERATION_UNSUPPORTED: final,
  OPERATION_FAILED: final,
  OUTCOME_UNKNOWN: broken,
  COMMAND_EXPIRED: final,
  STALE_EPOCH: final,
  INVALID_RESULT: final,
  // The authority
  AUTHORITY_NOT_READY: final,
  CERTIFICATE_REQUIRED: final,
  // Sessions
  AGENT_REVOKED: final,
  SESSION_SUPERSEDED: final,
  SESSION_LOST: passing,
  IDENTITY_IN_USE: final,
  ENGINE_CHANGED: final,
  ENGINE_ALREADY_ENROLLED: final,
  ENGINE_BANNED: final,
  ENGINE_NOT_BANNED: final,
  HOST_NAME_IN_USE: final,
  HOST_NAME_REQUIRED: final,
  UNTRUSTED_SERVER: final,
  PROTOCOL_UNSUPPORTED: final,
  PROTOCOL_VIOLATION: final,
  HANDSHAKE_TIMEOUT: busy,
  LEASE_EXPIRED: busy,
  // Us
  SERVER_UNREACHABLE: final,
  INTERNAL: final,
} as const satisfies Record<string, ReasonTraits>;

/** A word of the closed list of reasons. */
export type Reason = keyof typeof reasonTraits;

/** Whether a word, for example one that came over the wire, is a reason that this version knows. */
export function isReason(word: string): word is Reason {
  return Object.hasOwn(reasonTraits, word);
}

/** A field of a request that breaks a rule. */
export interface FieldViolation {
  /** Path of the field, for example "spec.ports[0].container_port". */
  readonly field: string;
  /** What is wrong with it, in words. */
  readonly description: string;
}

/** What an error can carry besides reason and message. */
export interface FleetErrorDetails {
  /** Facts for programs: ids, limits, candidates. Never a secret. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The fields that broke a rule, for `INVALID_ARGUMENT`. */
  readonly violations?: readonly FieldViolation[];
  /** When trying again may help, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** What caused it, for the log only. */
  readonly cause?: unknown;
}

/** The one error of Fairlead: a reason for programs, a sentence for people. */
export class FleetError extends Error {
  override readonly name = "FleetError";
  readonly reason: Reason;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, details: FleetErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.reason = reason;
    this.metadata = details.metadata ?? {};
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs;
  }

  /** The same error with more metadata, for whoever knows more on its way up. */
  with(metadata: Readonly<Record<string, string>>): FleetError {
    return new FleetError(this.reason, this.message, {
      metadata: { ...this.metadata, ...metadata },
      violations: this.violations,
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
      cause: this.cause,
    });
  }
}
