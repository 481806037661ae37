import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../domain/errors.ts";
import { OfflinePolicy } from "../../gen/fairlead/command/v1/offline_policy_pb.js";
import type { Preconditions } from "../../gen/fairlead/container/v1/preconditions_pb.js";
import type { DispatchRequest, WhenOffline } from "../dispatch/dispatch-request.ts";

/** What a request may say of how its command is delivered. A read says nothing of it. */
export interface DeliveryFields {
  readonly offlinePolicy?: OfflinePolicy;
  readonly expireTime?: Timestamp | undefined;
  readonly preconditions?: Preconditions | undefined;
}

const whenOffline: Record<OfflinePolicy, WhenOffline> = {
  [OfflinePolicy.UNSPECIFIED]: "fail-fast",
  [OfflinePolicy.FAIL_FAST]: "fail-fast",
  [OfflinePolicy.WAIT]: "wait",
  [OfflinePolicy.QUEUE]: "queue",
};

const maxExpiryMs = 30 * 24 * 60 * 60_000;

/**
 * How a request wants its command delivered. Throws INVALID_ARGUMENT for an expire time that is past, too far, or of no use; not for a repeat of an
 * earlier request, whose time may be over by now.
 */
export function deliveryOptions(
  { offlinePolicy = OfflinePolicy.UNSPECIFIED, expireTime, preconditions }: DeliveryFields,
  now: number,
  isRepeat: boolean,
): Pick<DispatchRequest, "whenOffline" | "expireTime" | "preconditions"> {
  const policy = whenOffline[offlinePolicy];
  if (expireTime === undefined || isRepeat) return { whenOffline: policy, preconditions };
  const expires = timestampMs(expireTime);
  if (policy !== "queue") throw invalid("is only of use with OFFLINE_POLICY_QUEUE");
  if (expires <= now) throw invalid("is in the past");
  if (expires > now + maxExpiryMs) throw invalid("is more than 30 days away");
  return { whenOffline: policy, expireTime: expires, preconditions };
}

function invalid(description: string): FleetError {
  return new FleetError("INVALID_ARGUMENT", `expire_time ${description}`, {
    violations: [{ field: "expire_time", description }],
  });
}
