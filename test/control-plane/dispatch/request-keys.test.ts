import assert from "node:assert/strict";
import { CommandService } from "../../../src/gen/fairlead/command/v1/command_service_pb.js";
import { eventually, testControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, rejection, stopWeb } from "../../support/dispatching.ts";

const keyed = { requestId: "deploy-7", requestDigest: Buffer.from("the request") };

describe("callers' keys", () => {
  it("C25 the same key and request from 50 concurrent callers are one command with one result", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const calls = Array.from({ length: 50 }, () => dispatchTo(fleet, agent, stopWeb, keyed));
    agent.succeed(await agent.command(), true);
    const ids = new Set((await Promise.all(calls)).map(({ commandId }) => commandId));
    assert.equal(ids.size, 1);
    const later = await dispatchTo(fleet, agent, stopWeb, keyed);
    assert.deepEqual([ids.has(later.commandId), later.outcome?.changed], [true, true]);
    assert.equal((await fleet.client(CommandService).listCommands({})).commands.length, 1);
    assert.equal(agent.frames.flatMap((frame) => frame.commands).length, 1);
  });

  it("C25 another request with the key is REQUEST_ID_REUSED, before and after the first has ended", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const other = { ...keyed, requestDigest: Buffer.from("another request") };
    const call = dispatchTo(fleet, agent, stopWeb, keyed);
    await rejection(dispatchTo(fleet, agent, stopWeb, other), "REQUEST_ID_REUSED");
    agent.succeed(await agent.command());
    await call;
    await rejection(dispatchTo(fleet, agent, stopWeb, other), "REQUEST_ID_REUSED");
  });

  it("C25 a key outlives the process, and a failure is told again as it was", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb, keyed);
    agent.fail(await agent.command(), "CONFLICT", "it is being removed");
    const first = await rejection(call, "CONFLICT");
    agent.close();
    await fleet.restart();
    const again = await rejection(dispatchTo(fleet, agent, stopWeb, keyed), "CONFLICT");
    assert.deepEqual([again.message, again.metadata], [first.message, first.metadata]);
  });

  it("C25 a key whose request never became a command is free", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    agent.close();
    await eventually(() => !fleet.controlPlane.sessions.isOnline(agent.identity.agentId), "offline");
    await rejection(dispatchTo(fleet, agent, stopWeb, keyed), "AGENT_OFFLINE");
    const back = await fleet.returned(agent);
    const call = dispatchTo(fleet, back, stopWeb, keyed);
    back.succeed(await back.command(), true);
    assert.equal((await call).outcome?.changed, true);
  });

  it("C25 keys of different callers have nothing to do with each other", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const calls = ["one", "other"].map((caller) => dispatchTo(fleet, agent, stopWeb, { ...keyed, caller }));
    agent.succeed(await agent.command());
    agent.succeed(await agent.command());
    const [one, other] = await Promise.all(calls);
    assert.notEqual(one?.commandId, other?.commandId);
  });
});
