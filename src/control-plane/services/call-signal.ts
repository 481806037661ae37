import { fleetErrorFrom } from "../../rpc/connect-error.ts";

/**
 * A call's signal whose reason is a `FleetError`, CANCELLED or DEADLINE_EXCEEDED, so that whoever is aborted by it can add
 * what it knows, such as the id of a command that goes on. `release` takes it off the call again.
 */
export function callSignal(signal: AbortSignal): { readonly signal: AbortSignal; release(this: void): void } {
  const controller = new AbortController();
  const onAbort = () => controller.abort(fleetErrorFrom(signal.reason));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return { signal: controller.signal, release: () => signal.removeEventListener("abort", onAbort) };
}
