import assert from "node:assert/strict";
import { ContainerService } from "../../../src/gen/fairlead/container/v1/container_service_pb.js";
import { FleetError } from "../../../src/domain/errors.ts";
import { eventually, testControlPlane } from "../../support/control-plane-harness.ts";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { recordedEvent } from "../../support/recorded-events.ts";
import { dispatchTo, inspectWeb, rejection, stopWeb } from "../../support/dispatching.ts";

describe("drain", () => {
  it("S12 running commands finish, new ones are refused, and agents are told when to come back", async () => {
    await using plane = await testControlPlane({ reconnectAfterMs: 7_000 });
    const { controlPlane } = plane;
    const agent = await plane.enrolled();
    const calls = [dispatchTo(plane, agent, stopWeb), dispatchTo(plane, agent, inspectWeb)];
    const commands = [await agent.command(), await agent.command()];
    let closed = false;
    const closing = controlPlane.close(60_000).then(() => (closed = true));

    const { drain } = await agent.frame((frame) => frame.drain !== undefined);
    assert.equal(drain?.reconnectAfter?.seconds, 7n);
    assert.ok(drain?.reason);
    const refused = await rejection(dispatchTo(plane, agent, inspectWeb), "DRAINING");
    assert.ok((refused.retryAfterMs ?? 0) > 0);
    const late = plane.stream();
    const draining = await rejection(late.challenge(), "DRAINING");
    assert.equal((await late.status).code, 14);
    assert.equal(draining.retryAfterMs, 7_000);
    assert.equal(closed, false);

    for (const command of commands) agent.succeed(command, true);
    for (const call of calls) assert.equal((await call).outcome?.changed, true);
    const error = await agent.ended;
    assert.equal(error.reason, "DRAINING");
    assert.equal(error.retryAfterMs, 7_000);
    assert.equal((await agent.status).code, 14);
    await closing;
    assert.equal(agent.frames.flatMap((frame) => frame.commands).length, 2);
  });

  it("S12 every agent is told UNAVAILABLE at the end, none is cut off", async () => {
    await using plane = await testControlPlane();
    const agents = await Promise.all(Array.from({ length: 40 }, () => plane.enrolled()));
    await plane.controlPlane.close(0);
    for (const agent of agents) {
      assert.equal((await agent.ended).reason, "DRAINING");
      assert.equal((await agent.status).code, 14);
    }
  });

  it("S12 what has not ended when the grace is over is answered, and nobody is waited for any longer", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const [read, change] = [dispatchTo(plane, agent, inspectWeb), dispatchTo(plane, agent, stopWeb)];
    await Promise.all([agent.command(), agent.command()]);
    await plane.controlPlane.close(20);
    for (const call of [read, change]) {
      const error: unknown = await call.catch((reason: unknown) => reason);
      assert.ok(error instanceof FleetError, String(error));
    }
    assert.equal((await agent.ended).reason, "DRAINING");
  });

  it("S12 an agent that does not read cannot hold the end back", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    agent.pause();
    const large = { case: "inspectContainer", value: { container: "x".repeat(40_000) } } as const;
    for (let call = 0; call < 60; call += 1) void dispatchTo(plane, agent, large);
    const started = performance.now();
    await plane.controlPlane.close(0);
    assert.ok(performance.now() - started < 5_000);
  });

  it("S12 closing twice is closing once, and the shorter grace counts", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const call = dispatchTo(plane, agent, inspectWeb);
    await agent.command();
    const slow = plane.controlPlane.close(60_000);
    await plane.controlPlane.close(0);
    await slow;
    await assert.rejects(call);
  });

  it("S12 the API's callers that wait get their answer, and new calls are refused", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const { hostName: host = "" } = agent.welcome ?? {};
    const client = plane.client(ContainerService);
    const waiting = client.stopContainer({ host, container: "web" });
    const command = await agent.command();
    const closing = plane.controlPlane.close(60_000);
    await agent.frame((frame) => frame.drain !== undefined);
    await assert.rejects(plane.client(ContainerService).listContainers({}));
    agent.succeed(command, true);
    assert.equal((await waiting).changed, true);
    await closing;
    await eventually(() => plane.controlPlane.sessions.size === 0, "no session");
  });

  it("S12 an agent whose token is spent while the control plane goes away still learns its id", async () => {
    await using plane = await testControlPlane();
    const agent = plane.stream();
    const token = await plane.controlPlane.createToken("test");
    const { nonce } = await agent.challenge();
    const registration = { token, publicKey: agent.identity.publicKey };
    agent.sendHello(agent.hello({ case: "registration", value: registration as never }), nonce);
    // The token is spent; the session comes with another transaction.
    await recordedEvent(plane, EventType.TOKEN_USED, () => true);
    await plane.restart();
    const { agentId } = await agent.welcomed();
    assert.equal((await agent.ended).reason, "DRAINING");
    assert.equal((await plane.returned(agent)).identity.agentId, agentId);
  });
});
