import type { Logger } from "pino";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import { grpcErrorFrom } from "../../rpc/grpc-error.ts";
import type { AgentCall } from "./agent-call.ts";

/** How long a peer may take to read the end of its stream, in milliseconds. */
export const farewellMs = 5_000;

/** Cuts the connection that a stream is on. */
export type Disconnect = () => void;

/**
 * Ends a stream and tells the agent why. A peer that does not read would keep the end, and all that is queued before it, waiting for ever:
 * its connection is cut when the end has not gone out after five seconds.
 */
export function endCall(
  call: AgentCall,
  reason: unknown,
  parts: {
    readonly logger: Logger;
    readonly wheel: TimerWheel;
    readonly disconnect?: Disconnect | undefined;
  },
): void {
  const { logger, wheel, disconnect } = parts;
  call.emit("error", grpcErrorFrom(reason, logger));
  // What still arrives is read and thrown away, so that the stream can end.
  call.resume();
  if (disconnect === undefined || call.cancelled) return;
  const patience = wheel.schedule(farewellMs, () => {
    call.off("cancelled", onOver);
    logger.warn("an agent does not read the end of its stream, its connection is cut");
    disconnect();
  });
  // grpc-js says so of every stream that is over, also when its end was read.
  const onOver = () => patience.cancel();
  call.once("cancelled", onOver);
}
