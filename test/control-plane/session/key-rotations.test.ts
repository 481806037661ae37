import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { AgentSession } from "../../../src/control-plane/session/agent-session.ts";
import { KeyRotations } from "../../../src/control-plane/session/key-rotations.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { KeyProofSchema } from "../../../src/gen/fairlead/agent/v1/frame_pb.js";
import { TimerWheel } from "../../../src/resilience/timer-wheel.ts";
import type { HostRecord } from "../../../src/storage/records.ts";
import { silentLogger } from "../../support/silent-logger.ts";

describe("the rotation of a key", () => {
  it("E15 ends as its proof does once that has come, although the session ends while it is looked at", async () => {
    const known = Promise.withResolvers<HostRecord>();
    const gone = Promise.withResolvers<FleetError>();
    const session = {
      identity: { agentId: "agent-1", hostId: "host-1", hostName: "one" },
      logger: silentLogger,
      ended: gone.promise,
      send: () => true,
    } as unknown as AgentSession;
    const rotations = new KeyRotations({
      sessions: { current: () => session },
      storage: {
        fleet: { agent: () => known.promise, changeKey: () => Promise.reject(new Error("not proved")) },
      },
      events: { make: () => assert.fail("nothing happened") },
      wheel: new TimerWheel(),
    });
    const rotating = rotations.rotate("agent-1", { name: "test", address: "" });
    const ended = assert.rejects(rotating, { reason: "INVALID_RESULT" });
    rotations.proved(session, create(KeyProofSchema, { publicKey: new Uint8Array(32) }));
    gone.resolve(new FleetError("SESSION_LOST", "gone"));
    await gone.promise;
    known.resolve({ publicKey: new Uint8Array(32).fill(1) } as unknown as HostRecord);
    await ended;
  });
});
