import { FleetError } from "../../domain/errors.ts";

/** A container is signalled by a kill, which says who may do that. */
export function signalsAreForExecs(): FleetError {
  return new FleetError(
    "OPERATION_UNSUPPORTED",
    "whoever is attached to a container cannot signal it; kill does",
  );
}
