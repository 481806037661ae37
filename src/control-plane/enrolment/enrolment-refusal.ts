import { FleetError } from "../../domain/errors.ts";
import type { HostRecord } from "../../storage/records.ts";

/**
 * The one answer to every proof that failed, so that nothing can be probed: neither which tokens or agents exist, nor
 * what is wrong with what was shown. The cause, which does not travel, and the event log say which it was.
 */
export function notAccepted(cause: string): FleetError {
  return new FleetError(
    "UNAUTHENTICATED",
    "the control plane did not accept this identity; check the registration token (single use, 15 minutes by default), or enrol the host again with a new one",
    { cause },
  );
}

/**
 * What an agent is answered whose enrolment was refused. What helps is told only for causes that a good token has come past; the rest is
 * `notAccepted`.
 */
export function enrolmentRefusal(cause: string, existing: HostRecord | undefined): FleetError {
  switch (cause) {
    case "NAME_REQUIRED":
      return new FleetError(
        "HOST_NAME_REQUIRED",
        "a host that is told apart by its name needs one: start its agent with --name",
      );
    case "ENGINE_BANNED":
      return new FleetError(
        "ENGINE_BANNED",
        "this engine was banned from the fleet; whoever runs the control plane can let it in again (fairlead hosts bans lift)",
      );
    default:
      return existing === undefined ? notAccepted(cause) : alreadyThere(cause, existing);
  }
}

function alreadyThere(cause: string, { id, name }: HostRecord): FleetError {
  const metadata = { host_name: name, host_id: id };
  if (cause === "NAME_IN_USE") {
    return new FleetError(
      "HOST_NAME_IN_USE",
      `a host named ${name} is enrolled already; choose another --name`,
      { metadata },
    );
  }
  return new FleetError(
    "ENGINE_ALREADY_ENROLLED",
    `this engine is enrolled already, as host ${name}; if its agent lost its identity, enrol it with a token for that host (fairlead token create --host ${name}); to begin anew delete that host first (fairlead hosts rm ${name}); or, if this machine is a clone of it, start its agent with --unique-by-name and a --name`,
    { metadata },
  );
}
