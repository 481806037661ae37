import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { FleetError } from "../../domain/errors.ts";
import { AgentStreamResponseSchema } from "../../gen/fairlead/agent/v1/agent_service_pb.js";
import { type WireMessage, wireMessage } from "../../rpc/grpc-service.ts";

/** The server's end of one AgentStream. */
export type AgentCall = ServerDuplexStream<WireMessage, WireMessage>;

/** Sends a message that is no frame: challenge or welcome. */
export function sendMessage(
  call: AgentCall,
  message: NonNullable<MessageInitShape<typeof AgentStreamResponseSchema>["message"]>,
): void {
  const response = create(AgentStreamResponseSchema, { message });
  call.write(wireMessage(toBinary(AgentStreamResponseSchema, response)));
}

/**
 * Waits for the next message and leaves the stream paused behind it. Rejects with SESSION_LOST when the stream ends first, and with
 * the signal's reason.
 */
export async function nextMessage(call: AgentCall, signal: AbortSignal): Promise<WireMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<WireMessage>();
  const onData = (message: WireMessage) => {
    call.pause();
    resolve(message);
  };
  const onGone = () => reject(new FleetError("SESSION_LOST", "the agent went away"));
  const onAbort = () => reject(signal.reason);
  const gone = ["end", "cancelled", "close"] as const;
  signal.addEventListener("abort", onAbort, { once: true });
  for (const event of gone) call.on(event, onGone);
  call.on("data", onData);
  try {
    if (signal.aborted) throw signal.reason;
    if (call.cancelled) onGone();
    call.resume();
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    for (const event of gone) call.off(event, onGone);
    call.off("data", onData);
  }
}
