import { Code, ConnectError } from "@connectrpc/connect";
import { FleetError } from "../../domain/errors.ts";
import { fleetErrorFrom } from "../../rpc/connect-error.ts";

/**
 * A call's signal whose reason is a `FleetError`, CANCELLED or DEADLINE_EXCEEDED, so that whoever is aborted by it can add
 * what it knows, such as the id of a command that goes on. `release` takes it off the call again.
 */
export function callSignal(signal: AbortSignal): { readonly signal: AbortSignal; release(this: void): void } {
  const controller = new AbortController();
  const onAbort = () => controller.abort(reasonOf(signal.reason));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return { signal: controller.signal, release: () => signal.removeEventListener("abort", onAbort) };
}

// What connect says of a connection that broke in the middle of a request.
function reasonOf(cause: unknown): FleetError {
  return cause instanceof ConnectError && cause.code === Code.Aborted
    ? new FleetError("CANCELLED", "the caller went away", { cause })
    : fleetErrorFrom(cause);
}
