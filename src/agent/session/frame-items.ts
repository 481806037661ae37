import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { secondsFromNs } from "../../domain/nanoseconds.ts";
import { AcceptanceSchema } from "../../gen/fairlead/agent/v1/command_pb.js";
import { AgentFrameSchema, EngineState } from "../../gen/fairlead/agent/v1/frame_pb.js";
import type { InventoryUpdateSchema } from "../../gen/fairlead/agent/v1/inventory_pb.js";
import type { EngineContainer } from "../engine/engine.ts";
import type { PolicyReport } from "../execution/policy/policy-file.ts";
import type { EngineHealth } from "../inventory/engine-follower.ts";
import type { HostFact } from "../inventory/host-event-queue.ts";
import type { InventoryStep } from "../inventory/inventory-feed.ts";
import { WireWriter } from "../../rpc/wire-writer.ts";
import type { NewKeyProof } from "./key-rotation.ts";

// Each function makes a serialised AgentFrame that holds one thing only, as FrameWriter wants its items.

const states: Readonly<Record<EngineHealth, EngineState>> = {
  unknown: EngineState.UNSPECIFIED,
  available: EngineState.AVAILABLE,
  unavailable: EngineState.UNAVAILABLE,
};

// Nothing is awaited while one writes: so it can be the same for all.
const writer = new WireWriter();
const frameFields = AgentFrameSchema.field;

/** "Written down, will run." */
export function acceptanceItem(commandId: string, attempt: number): Uint8Array {
  const mark = writer.begin().tag(frameFields.acceptances.number, WireType.LengthDelimited).fork();
  writer.tag(AcceptanceSchema.field.commandId.number, WireType.LengthDelimited).string(commandId);
  writer.tag(AcceptanceSchema.field.attempt.number, WireType.Varint).uint32(attempt);
  return writer.join(mark).finish();
}

/** A whole result, from its serialised form. */
export function resultItem(result: Uint8Array): Uint8Array {
  return writer.begin().tag(frameFields.results.number, WireType.LengthDelimited).bytes(result).finish();
}

/** A part of a serialised result. */
export function resultPartItem(
  commandId: string,
  index: number,
  last: boolean,
  data: Uint8Array,
): Uint8Array {
  return frame({ resultParts: [{ commandId, index, last, data }] });
}

/** A heartbeat: nothing but the time. */
export function heartbeatItem(nowMs: number): Uint8Array {
  return frame({ sentTime: timestampFromMs(nowMs) });
}

/** Whether the engine answers. */
export function engineStateItem(health: EngineHealth): Uint8Array {
  return frame({ engineState: states[health] });
}

/** What the host's policy is now. */
export function hostPolicyItem(report: PolicyReport): Uint8Array {
  return frame({ hostPolicy: { ...report, summary: [...report.summary] } });
}

/** One step of the inventory. */
export function inventoryItem(step: InventoryStep, nowMs: number): Uint8Array {
  return frame({ inventory: [updateFrom(step, nowMs)] });
}

/** A container without what can make it large, for one that fits into no frame. */
export function slimContainer(container: EngineContainer): EngineContainer {
  return { ...container, labels: {}, mounts: [], ports: [], networks: [] };
}

/** A fact that the engine reported. */
export function hostEventItem(fact: HostFact): Uint8Array {
  const { action, caughtUp, containerId, containerName, image, exitCode } = fact;
  const value = { action, containerId, containerName, image, exitCode };
  return frame({
    hostEvents: [
      {
        eventTime: secondsFromNs(fact.timeNs),
        event: { case: "container", value },
        caughtUp,
        commandId: fact.cause.kind === "command" ? fact.cause.commandId : "",
        fromOutside: fact.cause.kind === "outside",
      },
    ],
  });
}

function updateFrom(step: InventoryStep, nowMs: number): MessageInitShape<typeof InventoryUpdateSchema> {
  const observedTime = timestampFromMs(nowMs);
  switch (step.kind) {
    case "begin":
      return { update: { case: "snapshotBegin", value: {} }, observedTime };
    case "container":
      return { update: { case: "container", value: step.container }, observedTime };
    case "removed":
      return { update: { case: "removedContainerId", value: step.containerId }, observedTime };
    case "end":
      return {
        update: { case: "snapshotEnd", value: { containerCount: step.containerCount } },
        observedTime,
      };
  }
}

/** A new key of the agent, proved. */
export function keyProofItem(proof: NewKeyProof): Uint8Array {
  return frame({ keyProof: proof });
}

/** Which authorities the agent trusts. */
export function authorityReportItem(digests: readonly Uint8Array[]): Uint8Array {
  return frame({ authorityReport: { digests: [...digests] } });
}

/** Asks for a certificate. */
export function certificateRequestItem(request: Uint8Array): Uint8Array {
  return frame({ certificateRequest: { request } });
}

function frame(init: MessageInitShape<typeof AgentFrameSchema>): Uint8Array {
  return toBinary(AgentFrameSchema, create(AgentFrameSchema, init));
}
