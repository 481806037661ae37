import type { HandlerContext } from "@connectrpc/connect";
import { FleetError } from "../../domain/errors.ts";
import { callerOf, peerAddressKey } from "../../rpc/caller.ts";
import { HostScope } from "../access/host-scope.ts";
import type { Actor } from "../events/actor.ts";
import { everyHost, type HostTest } from "../inventory/host-view.ts";

type Values = HandlerContext["values"];

/** Who makes a call, for events and commands. */
export function actorOf(values: Values): Actor {
  const { name, keyId } = callerOf(values);
  return { name, keyId, address: values.get(peerAddressKey) };
}

/** Which hosts exist for the caller. Others are to be answered as if they were not there. */
export function seenBy(values: Values): HostTest {
  const { scope } = callerOf(values);
  if (scope === undefined) {
    return everyHost;
  }
  if (scope instanceof HostScope) {
    return ({ labels }) => scope.sees(labels);
  }
  throw new TypeError("the caller is limited in a way that is not known here");
}

/**
 * For what is about the fleet as a whole: keys, and the tokens that enrol hosts. Throws PERMISSION_DENIED for a caller for
 * whom only some hosts exist.
 */
export function requireWholeFleet(values: Values): void {
  if (seenBy(values) !== everyHost) {
    throw new FleetError(
      "PERMISSION_DENIED",
      "a key that is limited to some hosts may not do this, whatever its role",
    );
  }
}
