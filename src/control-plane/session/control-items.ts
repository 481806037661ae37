import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { ControlFrameSchema } from "../../gen/fairlead/agent/v1/frame_pb.js";
import type { Operation } from "../../gen/fairlead/agent/v1/operation_pb.js";

/** A command as it is sent once. */
export interface OutgoingCommand {
  readonly commandId: string;
  readonly attempt: number;
  readonly sessionEpoch: number;
  /** Counts from its arrival. */
  readonly timeoutMs: number;
  readonly operation: Operation;
}

/** A frame that holds one command, for `AgentSession.send`. */
export function commandItem({ timeoutMs, ...command }: OutgoingCommand): Uint8Array {
  return frame({ commands: [{ ...command, timeout: durationFromMs(Math.max(1, Math.round(timeoutMs))) }] });
}

/** A frame that tells the agent to forget a result, for `AgentSession.send`. */
export function acknowledgementItem(commandId: string): Uint8Array {
  return frame({ acknowledgedCommandIds: [commandId] });
}

function frame(content: MessageInitShape<typeof ControlFrameSchema>): Uint8Array {
  return toBinary(ControlFrameSchema, create(ControlFrameSchema, content));
}
