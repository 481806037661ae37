import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { OperationSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { DiskUsage } from "../../gen/fairlead/host/v1/disk_usage_pb.js";
import type { GetDiskUsageRequest } from "../../gen/fairlead/host/v1/host_service_pb.js";
import type { HostRecord } from "../../storage/records.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { callSignal } from "./call-signal.ts";
import { actorOf } from "./calling.ts";
import { msOrUnset } from "./durations.ts";

/** Asks a host what its engine takes on the disk. Undefined: its agent did not say. */
export async function diskUsageOf(
  { dispatcher }: { readonly dispatcher: Pick<Dispatcher, "dispatch"> },
  { id, name, agentId }: HostRecord,
  { timeout }: GetDiskUsageRequest,
  context: HandlerContext,
): Promise<DiskUsage | undefined> {
  const { name: caller, keyId, address } = actorOf(context.values);
  const call = callSignal(context.signal);
  const { outcome } = await dispatcher
    .dispatch({
      host: { hostId: id, hostName: name, agentId },
      operation: create(OperationSchema, { operation: { case: "getDiskUsage", value: {} } }),
      container: "",
      timeoutMs: msOrUnset(timeout),
      caller,
      callerKeyId: keyId,
      callerAddress: address,
      requestId: "",
      requestDigest: new Uint8Array(0),
      signal: call.signal,
    })
    .finally(call.release);
  return outcome?.detail.case === "diskUsage" ? outcome.detail.value : undefined;
}
