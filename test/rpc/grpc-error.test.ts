import assert from "node:assert/strict";
import { Metadata, status } from "@grpc/grpc-js";
import { FleetError } from "../../src/domain/errors.ts";
import { fleetErrorFromGrpc, grpcErrorFrom } from "../../src/rpc/grpc-error.ts";
import { testControlPlane } from "../support/control-plane-harness.ts";
import { rejection } from "../support/dispatching.ts";
import { silentLogger } from "../support/silent-logger.ts";

describe("errors of grpc-js streams", () => {
  it("arrive as they were sent, without their cause", () => {
    const sent = new FleetError("DRAINING", "the control plane is going away", {
      metadata: { session_epoch: "3" },
      retryAfterMs: 1_500,
      violations: [{ field: "a.b[0]", description: "is odd" }],
      cause: "a secret of ours",
    });
    const wire = grpcErrorFrom(sent, silentLogger);
    assert.equal(wire.code, status.UNAVAILABLE);
    assert.ok(!JSON.stringify([wire.message, wire.metadata.toJSON()]).includes("secret"));
    const { reason, message, metadata, retryAfterMs, violations } = fleetErrorFromGrpc(wire);
    assert.deepEqual(
      { reason, message, metadata: { ...metadata }, retryAfterMs, violations },
      {
        reason: sent.reason,
        message: sent.message,
        metadata: { session_epoch: "3" },
        retryAfterMs: 1_500,
        violations: sent.violations,
      },
    );
  });

  it("say of an unexpected error no more than its id", () => {
    const wire = grpcErrorFrom(new Error("SELECT secret FROM /var/lib"), silentLogger);
    assert.equal(wire.code, status.INTERNAL);
    const error = fleetErrorFromGrpc(wire);
    assert.equal(error.reason, "INTERNAL");
    assert.ok(error.metadata["error_id"]);
    assert.doesNotMatch(`${wire.message} ${wire.details}`, /SELECT|var/);
  });

  it("are SESSION_LOST when a connection broke, or when it was no error of gRPC", () => {
    for (const code of [status.UNAVAILABLE, status.CANCELLED]) {
      const broken = Object.assign(new Error("gone"), { code, details: "gone", metadata: new Metadata() });
      assert.equal(fleetErrorFromGrpc(broken).reason, "SESSION_LOST");
    }
    assert.equal(fleetErrorFromGrpc(new Error("odd")).reason, "SESSION_LOST");
    assert.equal(fleetErrorFromGrpc("odd").reason, "SESSION_LOST");
  });

  it("do not stop on details that do not decode", () => {
    const metadata = new Metadata();
    metadata.set("grpc-status-details-bin", Buffer.from([0xff]));
    const odd = Object.assign(new Error("text"), { code: status.ABORTED, details: "text", metadata });
    assert.equal(fleetErrorFromGrpc(odd).message, "text");
  });

  it("reach the agent with any text, half a character included", async () => {
    await using plane = await testControlPlane();
    for (const text of ["half \ud83d", "line\nfeed % \u0000 é 🙂"]) {
      const agent = await plane.enrolled();
      plane.controlPlane.sessions.current(agent.identity.agentId)?.end(new FleetError("AGENT_REVOKED", text));
      assert.equal((await agent.ended).message, text.toWellFormed());
    }
  });

  it("reach the agent when more fields are at fault than a trailer can name", async () => {
    await using plane = await testControlPlane();
    const odd = Array.from({ length: 300 }, (_, index) => `odd-${index}`);
    const error = await rejection(
      plane.stream().register(await plane.controlPlane.createToken("test"), {
        runningCommandIds: odd,
        heldResultCommandIds: odd,
      }),
      "INVALID_ARGUMENT",
    );
    assert.equal(error.violations[0]?.field, "running_command_ids[0]");
    assert.equal(error.violations.length, 64);
  });
});
