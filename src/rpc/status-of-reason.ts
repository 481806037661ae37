import { Code } from "@connectrpc/connect";
import type { Reason } from "../domain/errors.ts";

/**
 * The one table from reason to gRPC status. The numbers are the protocol's own, so that it serves connect's `Code`
 * and grpc-js' `status` alike. A reason without a status does not compile.
 */
export const statusOfReason = {
  // The caller
  INVALID_ARGUMENT: Code.InvalidArgument,
  INVALID_PAGE_TOKEN: Code.InvalidArgument,
  UNAUTHENTICATED: Code.Unauthenticated,
  PERMISSION_DENIED: Code.PermissionDenied,
  REQUEST_ID_REUSED: Code.AlreadyExists,
  CURSOR_EXPIRED: Code.OutOfRange,
  DEADLINE_EXCEEDED: Code.DeadlineExceeded,
  CANCELLED: Code.Canceled,
  RATE_LIMITED: Code.ResourceExhausted,
  TOO_MANY_CALLS: Code.ResourceExhausted,
  // What is looked for. An ambiguous name is well formed, and may be good tomorrow: the fleet's state is in the way.
  HOST_NOT_FOUND: Code.NotFound,
  HOST_AMBIGUOUS: Code.FailedPrecondition,
  COMMAND_NOT_FOUND: Code.NotFound,
  TOKEN_NOT_FOUND: Code.NotFound,
  KEY_NOT_FOUND: Code.NotFound,
  CONTAINER_NOT_FOUND: Code.NotFound,
  CONTAINER_AMBIGUOUS: Code.FailedPrecondition,
  IMAGE_NOT_FOUND: Code.NotFound,
  EXEC_NOT_FOUND: Code.NotFound,
  PATH_NOT_FOUND: Code.NotFound,
  // The way to the agent
  AGENT_OFFLINE: Code.Unavailable,
  AGENT_DISCONNECTED: Code.Unavailable,
  AGENT_BUSY: Code.ResourceExhausted,
  TOO_MANY_STREAMS: Code.ResourceExhausted,
  STREAM_NOT_OPENED: Code.Unavailable,
  CIRCUIT_OPEN: Code.Unavailable,
  DRAINING: Code.Unavailable,
  STORAGE_UNAVAILABLE: Code.Unavailable,
  OVERLOADED: Code.ResourceExhausted,
  // What the agent answers. UNKNOWN is the protocol's word for an error of another system, and for not knowing.
  ENGINE_UNAVAILABLE: Code.Unavailable,
  ENGINE_FAILED: Code.Unknown,
  NAME_IN_USE: Code.AlreadyExists,
  CONFLICT: Code.FailedPrecondition,
  PROTECTED_CONTAINER: Code.PermissionDenied,
  DENIED_BY_HOST_POLICY: Code.PermissionDenied,
  PRECONDITION_FAILED: Code.FailedPrecondition,
  OPERATION_UNSUPPORTED: Code.Unimplemented,
  OPERATION_FAILED: Code.Unknown,
  OUTCOME_UNKNOWN: Code.Unknown,
  COMMAND_EXPIRED: Code.DeadlineExceeded,
  STALE_EPOCH: Code.Aborted,
  INVALID_RESULT: Code.DataLoss,
  // The authority
  AUTHORITY_NOT_READY: Code.FailedPrecondition,
  CERTIFICATE_REQUIRED: Code.FailedPrecondition,
  // Sessions
  AGENT_REVOKED: Code.PermissionDenied,
  SESSION_SUPERSEDED: Code.Aborted,
  SESSION_LOST: Code.Unavailable,
  IDENTITY_IN_USE: Code.FailedPrecondition,
  ENGINE_CHANGED: Code.FailedPrecondition,
  ENGINE_ALREADY_ENROLLED: Code.AlreadyExists,
  ENGINE_BANNED: Code.PermissionDenied,
  ENGINE_NOT_BANNED: Code.NotFound,
  HOST_NAME_IN_USE: Code.AlreadyExists,
  HOST_NAME_REQUIRED: Code.InvalidArgument,
  UNTRUSTED_SERVER: Code.Unauthenticated,
  PROTOCOL_UNSUPPORTED: Code.FailedPrecondition,
  PROTOCOL_VIOLATION: Code.InvalidArgument,
  HANDSHAKE_TIMEOUT: Code.DeadlineExceeded,
  LEASE_EXPIRED: Code.DeadlineExceeded,
  // Us
  SERVER_UNREACHABLE: Code.Unavailable,
  INTERNAL: Code.Internal,
} as const satisfies Readonly<Record<Reason, Code>>;

/**
 * The reason that comes nearest to a status that arrived without one that this version knows: from a proxy, from a
 * newer peer, or from the transport itself.
 */
export const reasonOfStatus = {
  [Code.Canceled]: "CANCELLED",
  [Code.Unknown]: "INTERNAL",
  [Code.InvalidArgument]: "INVALID_ARGUMENT",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.NotFound]: "INTERNAL",
  [Code.AlreadyExists]: "CONFLICT",
  [Code.PermissionDenied]: "PERMISSION_DENIED",
  [Code.ResourceExhausted]: "OVERLOADED",
  [Code.FailedPrecondition]: "PRECONDITION_FAILED",
  [Code.Aborted]: "CONFLICT",
  [Code.OutOfRange]: "INVALID_ARGUMENT",
  [Code.Unimplemented]: "OPERATION_UNSUPPORTED",
  [Code.Internal]: "INTERNAL",
  [Code.Unavailable]: "SERVER_UNREACHABLE",
  [Code.DataLoss]: "INVALID_RESULT",
  [Code.Unauthenticated]: "UNAUTHENTICATED",
} as const satisfies Readonly<Record<Code, Reason>>;
