import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { fromBinary } from "@bufbuild/protobuf";
import type { AgentCall } from "../../../src/control-plane/session/agent-call.ts";
import { AgentSession } from "../../../src/control-plane/session/agent-session.ts";
import {
  defaultSessionSettings,
  type SessionSettings,
} from "../../../src/control-plane/session/session-settings.ts";
import { AgentStreamResponseSchema } from "../../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import type { ControlFrame } from "../../../src/gen/fairlead/agent/v1/frame_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { TimerWheel } from "../../../src/resilience/timer-wheel.ts";
import type { WireMessage } from "../../../src/rpc/grpc-service.ts";
import { silentLogger } from "../../support/silent-logger.ts";

/** The server's end of a stream whose other end is the test. */
export class FakeCall extends EventEmitter {
  readonly frames: ControlFrame[] = [];
  readonly errors: { code: number; message: string }[] = [];
  /** Whether it takes more. */
  writable = true;

  constructor() {
    super();
    this.on("error", (error) => this.errors.push(error));
  }

  write(bytes: WireMessage): boolean {
    const { message } = fromBinary(AgentStreamResponseSchema, bytes);
    assert.ok(message.case === "frame");
    this.frames.push(message.value);
    return this.writable;
  }

  pause(): void {}
  resume(): void {}
}

/** A session of an agent over a fake call. */
export function sessionOf(
  agentId: string,
  epoch: number,
  more: { settings?: Partial<SessionSettings>; wheel?: TimerWheel; random?: () => number } = {},
): { session: AgentSession; call: FakeCall } {
  const call = new FakeCall();
  const session = new AgentSession(
    {
      identity: {
        sessionId: `session-${epoch}`,
        agentId,
        hostId: `host-of-${agentId}`,
        hostName: agentId,
        epoch,
        journalId: "",
        instanceId: "",
        address: "127.0.0.1:1",
      },
      // Of a grpc-js stream a session uses no more than this.
      call: call as unknown as AgentCall,
    },
    {
      settings: { ...defaultSessionSettings, ...more.settings },
      wheel: more.wheel ?? new TimerWheel(),
      clock: systemClock,
      random: more.random ?? (() => 0.5),
      logger: silentLogger,
    },
  );
  return { session, call };
}
