import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { DispatchRequest, Dispatched } from "../../src/control-plane/dispatch/dispatch-request.ts";
import { FleetError, type Reason } from "../../src/domain/errors.ts";
import { OperationSchema } from "../../src/gen/fairlead/agent/v1/operation_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import type { TestControlPlane } from "./control-plane-harness.ts";
import type { RawAgent } from "./raw-agent.ts";

type OperationInit = NonNullable<MessageInitShape<typeof OperationSchema>["operation"]>;

export const inspectWeb: OperationInit = { case: "inspectContainer", value: { container: "web" } };
export const stopWeb: OperationInit = { case: "stopContainer", value: { container: "web" } };

/** Sends a command past the API, as a service would, to an agent that is or was connected. */
export function dispatchTo(
  { controlPlane }: TestControlPlane,
  agent: RawAgent,
  operation: OperationInit,
  more: Partial<DispatchRequest> = {},
): Promise<Dispatched> {
  const host = {
    hostId: agent.welcome?.hostId ?? "",
    hostName: agent.welcome?.hostName ?? "",
    agentId: agent.identity.agentId,
  };
  const call = controlPlane.dispatcher.dispatch({
    host,
    operation: create(OperationSchema, { operation }),
    container: "web",
    timeoutMs: undefined,
    caller: "test",
    requestId: "",
    requestDigest: new Uint8Array(0),
    signal: neverAborted,
    ...more,
  });
  // A test may look at it later than it settles.
  call.catch(() => undefined);
  return call;
}

/** The error that a promise rejects with; fails when it does not, or with another reason. */
export async function rejection(promise: Promise<unknown>, reason: Reason): Promise<FleetError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof FleetError && error.reason === reason) return error;
    throw error;
  }
  throw new Error(`expected ${reason}, and it succeeded`);
}
