import type { DescMethodUnary, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../domain/errors.ts";
import type { Reason } from "../domain/errors.ts";

/** How often, and how far apart, a call is tried. */
export interface RetryPolicy {
  /** Tries in all. 1: none is repeated. */
  readonly attempts: number;
  /** The longest first wait, in milliseconds; it doubles with each. */
  readonly firstDelayMs: number;
  /** The longest of all waits, in milliseconds. */
  readonly longestDelayMs: number;
}

/** What holds unless somebody says otherwise. */
export const defaultRetryPolicy: RetryPolicy = { attempts: 3, firstDelayMs: 200, longestDelayMs: 5_000 };

/**
 * Faults of the way to the control plane and of its own load. What lies behind it, an agent or an engine, it tries
 * again itself.
 */
const passing: ReadonlySet<Reason> = new Set([
  "SERVER_UNREACHABLE",
  "DRAINING",
  "OVERLOADED",
  "RATE_LIMITED",
  "TOO_MANY_CALLS",
]);

/** Whether running a call twice is the same as running it once: the schema says so, or it has a request id. */
export function isRepeatable(method: DescMethodUnary, message: Message): boolean {
  const { requestId } = message as { requestId?: unknown };
  return (
    method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN ||
    (typeof requestId === "string" && requestId !== "")
  );
}

/**
 * How long to wait before the next try of a repeatable call, in milliseconds, or undefined when there is none: the
 * tries are used up, or the error says that another one cannot help. Full jitter, so that many callers do not come
 * back in one instant; never less than what the server asked for.
 */
export function retryDelayMs(
  error: unknown,
  attempt: number,
  policy: RetryPolicy,
  random: () => number,
): number | undefined {
  if (!(error instanceof FleetError) || !passing.has(error.reason) || attempt >= policy.attempts) {
    return undefined;
  }
  const ceiling = Math.min(policy.longestDelayMs, policy.firstDelayMs * 2 ** (attempt - 1));
  return Math.max(ceiling * random(), error.retryAfterMs ?? 0);
}
