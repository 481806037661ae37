import { Code } from "@connectrpc/connect";
import { FleetError } from "../domain/errors.ts";
import { statusOfReason } from "./status-of-reason.ts";

/** A refusal as plain HTTP says it, in the shape of a Connect error. */
export interface HttpProblem {
  readonly status: number;
  readonly problem: { readonly code: string; readonly message: string };
  readonly headers: Readonly<Record<string, string>>;
}

const unauthenticated = [401, "unauthenticated"] as const;
const answers = new Map<Code, readonly [number, string]>([
  [Code.PermissionDenied, [403, "permission_denied"]],
  [Code.ResourceExhausted, [429, "resource_exhausted"]],
  [Code.Unavailable, [503, "unavailable"]],
]);

/** Says in plain HTTP why somebody is not let in. What nobody foresaw is not told. */
export function httpProblemOf(reason: unknown): HttpProblem {
  if (!(reason instanceof FleetError)) {
    const [status, code] = unauthenticated;
    return { status, problem: { code, message: "who calls could not be found out" }, headers: {} };
  }
  const [status, code] = answers.get(statusOfReason[reason.reason]) ?? unauthenticated;
  const { message, retryAfterMs } = reason;
  const headers: Record<string, string> =
    retryAfterMs === undefined ? {} : { "retry-after": `${Math.ceil(retryAfterMs / 1_000)}` };
  return { status, problem: { code, message }, headers };
}
