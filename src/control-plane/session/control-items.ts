import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Command, CommandSchema } from "../../gen/fairlead/agent/v1/command_pb.js";
import { ControlFrameSchema } from "../../gen/fairlead/agent/v1/frame_pb.js";

/** What of a command is the same every time that it is sent. */
export type CommandContent = Pick<Command, "operation" | "preconditions">;

/** What of a command differs each time that it is sent. */
export interface Sending {
  readonly commandId: string;
  readonly attempt: number;
  readonly sessionEpoch: number;
  /** Counts from its arrival. */
  readonly timeoutMs: number;
}

/** A command's content as the journal keeps it. */
export function contentBytes({ operation, preconditions }: Partial<CommandContent>): Uint8Array {
  const content = {
    ...(operation === undefined ? {} : { operation }),
    ...(preconditions === undefined ? {} : { preconditions }),
  };
  return toBinary(CommandSchema, create(CommandSchema, content));
}

/** The content that `contentBytes` made. */
export function contentFrom(bytes: Uint8Array): CommandContent {
  return fromBinary(CommandSchema, bytes);
}

/** A frame that holds one command, for `AgentSession.send`. */
export function commandItem({ operation, preconditions }: CommandContent, sending: Sending): Uint8Array {
  const { timeoutMs, ...rest } = sending;
  const timeout = durationFromMs(Math.max(1, Math.round(timeoutMs)));
  return frame({
    commands: [
      {
        ...rest,
        timeout,
        ...(operation === undefined ? {} : { operation }),
        ...(preconditions === undefined ? {} : { preconditions }),
      },
    ],
  });
}

/** A frame that tells the agent to forget a result, for `AgentSession.send`. */
export function acknowledgementItem(commandId: string): Uint8Array {
  return frame({ acknowledgedCommandIds: [commandId] });
}

/** A frame that tells the agent that nobody wants a command any more, for `AgentSession.send`. */
export function cancellationItem(commandId: string): Uint8Array {
  return frame({ cancelledCommandIds: [commandId] });
}

/** A frame that asks the agent for another key, for `AgentSession.send`. */
export function rotateKeyItem(nonce: Uint8Array): Uint8Array {
  return frame({ rotateKey: { nonce } });
}

/** A frame that tells the agent which key is its own from now on, for `AgentSession.send`. */
export function acceptedKeyItem(publicKey: Uint8Array): Uint8Array {
  return frame({ acceptedPublicKey: publicKey });
}

function frame(content: MessageInitShape<typeof ControlFrameSchema>): Uint8Array {
  return toBinary(ControlFrameSchema, create(ControlFrameSchema, content));
}
