import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { WireType } from "@bufbuild/protobuf/wire";
import { type Command, CommandSchema } from "../../gen/fairlead/agent/v1/command_pb.js";
import { ControlFrameSchema } from "../../gen/fairlead/agent/v1/frame_pb.js";
import { messageBytes } from "../../rpc/message-writer.ts";
import { writeTime } from "../../rpc/wire-times.ts";
import { WireWriter } from "../../rpc/wire-writer.ts";

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

/** A command's content as the journal keeps it and `commandItem` sends it. Shares its memory, as `WireWriter.finish` says. */
export function contentBytes({ operation, preconditions }: Partial<CommandContent>): Uint8Array {
  return messageBytes(CommandSchema, { operation, preconditions });
}

/** The content that `contentBytes` made. */
export function contentFrom(bytes: Uint8Array): CommandContent {
  return fromBinary(CommandSchema, bytes);
}

// Nothing is awaited while one writes: so it can be the same for all.
const writer = new WireWriter();
const fields = CommandSchema.field;
const frameFields = ControlFrameSchema.field;

/**
 * A frame that holds one command, for `AgentSession.send`. Written field by field: making a whole frame only to write it
 * took twice the time, and this is done for every command.
 */
export function commandItem(content: Uint8Array, sending: Sending): Uint8Array {
  const mark = writer.begin().tag(frameFields.commands.number, WireType.LengthDelimited).fork();
  writer.tag(fields.commandId.number, WireType.LengthDelimited).string(sending.commandId);
  writer.tag(fields.attempt.number, WireType.Varint).uint32(sending.attempt);
  writer.tag(fields.sessionEpoch.number, WireType.Varint).uint32(sending.sessionEpoch);
  writeTime(writer, fields.timeout.number, Math.max(1, Math.round(sending.timeoutMs)));
  // Two messages of one kind, one behind the other, are one message with what both have.
  return writer.raw(content).join(mark).finish();
}

/** A frame that tells the agent to forget a result, for `AgentSession.send`. */
export function acknowledgementItem(commandId: string): Uint8Array {
  const { number } = frameFields.acknowledgedCommandIds;
  return writer.begin().tag(number, WireType.LengthDelimited).string(commandId).finish();
}

/** A frame that tells the agent that nobody wants a command any more, for `AgentSession.send`. */
export function cancellationItem(commandId: string): Uint8Array {
  return frame({ cancelledCommandIds: [commandId] });
}

/** A frame that tells the agent how many host events of its session are stored, for `AgentSession.send`. */
export function storedHostEventsItem(count: number): Uint8Array {
  return frame({ storedHostEvents: BigInt(count) });
}

/** A frame that asks the agent for another key, for `AgentSession.send`. */
export function rotateKeyItem(nonce: Uint8Array): Uint8Array {
  return frame({ rotateKey: { nonce } });
}

/** A frame that tells the agent which key is its own from now on, for `AgentSession.send`. */
export function acceptedKeyItem(publicKey: Uint8Array): Uint8Array {
  return frame({ acceptedPublicKey: publicKey });
}

/** A frame that tells the agent whom to trust, for `AgentSession.send`. */
export function trustItem(
  authorities: readonly { readonly certificate: Uint8Array; readonly endorsement: Uint8Array }[],
): Uint8Array {
  return frame({ trustedAuthorities: { authorities: [...authorities] } });
}

/** A frame with the certificate that the agent asked for, for `AgentSession.send`. */
export function certificateItem(certificate: Uint8Array): Uint8Array {
  return frame({ certificate });
}

/** A frame that asks the agent to ask for a certificate, for `AgentSession.send`. */
export function certificateWantedItem(withinMs: number): Uint8Array {
  return frame({ certificateWanted: { within: durationFromMs(withinMs) } });
}

function frame(content: MessageInitShape<typeof ControlFrameSchema>): Uint8Array {
  return toBinary(ControlFrameSchema, create(ControlFrameSchema, content));
}
