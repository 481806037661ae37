import { FleetError, type Reason } from "../domain/errors.ts";

const passing: ReadonlySet<Reason> = new Set<Reason>([
  "SERVER_UNREACHABLE",
  "DRAINING",
  "AGENT_DISCONNECTED",
  "AGENT_OFFLINE",
]);

/** How long to wait before a stream that was lost is begun again, in milliseconds. */
export const reconnectDelayMs = 2_000;

/** Whether what ended a stream will pass, so that it can be begun again. */
export function isLost(error: unknown): boolean {
  return error instanceof FleetError && passing.has(error.reason);
}
