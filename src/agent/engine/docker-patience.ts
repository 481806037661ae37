import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { withDeadline } from "../../resilience/deadline.ts";
import { neverAborted } from "../../resilience/signals.ts";

/** How long the engine may take for what nobody's signal covers. */
const patienceMs = 10_000;

/** Does what is to be done also when the caller has gone. Its signal aborts with `ENGINE_UNAVAILABLE` when the engine takes too long. */
export function patiently<Value>(
  clock: Clock,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const late = () =>
    new FleetError("ENGINE_UNAVAILABLE", `the Docker Engine did not answer within ${patienceMs} ms`);
  return withDeadline({ ms: patienceMs, clock, parent: neverAborted, late }, work);
}
