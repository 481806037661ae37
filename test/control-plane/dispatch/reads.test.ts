import assert from "node:assert/strict";
import { version as uuidVersion } from "uuid";
import { CommandService } from "../../../src/gen/fairlead/command/v1/command_service_pb.js";
import { eventually, testControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb, rejection } from "../../support/dispatching.ts";

describe("commands that only read", () => {
  it("C01 a command gets a UUIDv7, two concurrent ones differ, and each result reaches its caller", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const first = dispatchTo(fleet, agent, inspectWeb);
    const second = dispatchTo(fleet, agent, inspectWeb);
    const [one, other] = [await agent.command(), await agent.command()];
    assert.notEqual(one.commandId, other.commandId);
    assert.equal(uuidVersion(one.commandId), 7);
    agent.succeed(other, true);
    agent.succeed(one, false);
    assert.deepEqual([(await first).commandId, (await first).outcome?.changed], [one.commandId, false]);
    assert.deepEqual([(await second).commandId, (await second).outcome?.changed], [other.commandId, true]);
  });

  it("C03 C04 no result within the command's own timeout is DEADLINE_EXCEEDED with its id", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const short = dispatchTo(fleet, agent, inspectWeb, { timeoutMs: 60 });
    const long = dispatchTo(fleet, agent, inspectWeb, { timeoutMs: 86_400_000 });
    const usual = dispatchTo(fleet, agent, inspectWeb);
    const patient = dispatchTo(fleet, agent, inspectWeb, { graceMs: 5_000 });
    const commands = [
      await agent.command(),
      await agent.command(),
      await agent.command(),
      await agent.command(),
    ] as const;
    assert.deepEqual(
      commands.map(({ timeout }) => [timeout?.seconds, timeout?.nanos]),
      [
        [0n, 60_000_000],
        [86_400n, 0],
        [30n, 0],
        [35n, 0],
      ],
    );
    const error = await rejection(short, "DEADLINE_EXCEEDED");
    assert.equal(error.metadata["command_id"], commands[0].commandId);
    agent.succeed(commands[1]);
    agent.succeed(commands[2]);
    agent.succeed(commands[3]);
    await Promise.all([long, usual, patient]);
  });

  it("C05 an offline agent is AGENT_OFFLINE at once, and nothing is sent", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    agent.close();
    await eventually(() => !fleet.controlPlane.sessions.isOnline(agent.identity.agentId), "offline");
    await rejection(dispatchTo(fleet, agent, inspectWeb), "AGENT_OFFLINE");
    const back = await fleet.returned(agent);
    await dispatchedProbe();
    assert.deepEqual(
      back.frames.flatMap((frame) => frame.commands),
      [],
    );

    async function dispatchedProbe() {
      const probe = dispatchTo(fleet, back, inspectWeb);
      const command = await back.command();
      back.succeed(command);
      await probe;
      back.frames.splice(
        0,
        back.frames.length,
        ...back.frames.filter((frame) => frame.commands[0]?.commandId !== command.commandId),
      );
    }
  });

  it("C06 a disconnect while a read waits fails it at once, and no read of another host", async () => {
    await using fleet = await testControlPlane();
    const [agent, other] = [await fleet.enrolled(), await fleet.enrolled()];
    const elsewhere = dispatchTo(fleet, other, inspectWeb);
    const call = dispatchTo(fleet, agent, inspectWeb, { timeoutMs: 3_600_000 });
    const { commandId } = await agent.command();
    agent.close();
    const error = await rejection(call, "AGENT_DISCONNECTED");
    assert.equal(error.metadata["command_id"], commandId);
    other.succeed(await other.command());
    await elsewhere;
  });

  it("C07 a late and an unknown result change nothing and are counted", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const { dispatcher } = fleet.controlPlane;
    const call = dispatchTo(fleet, agent, inspectWeb, { timeoutMs: 40 });
    const command = await agent.command();
    await rejection(call, "DEADLINE_EXCEEDED");
    agent.succeed(command);
    agent.succeed({ commandId: "01890000-0000-7000-8000-000000000000", attempt: 1 });
    await eventually(() => dispatcher.strayResults === 2, "both were counted");
    const next = dispatchTo(fleet, agent, inspectWeb);
    agent.succeed(await agent.command(), true);
    assert.equal((await next).outcome?.changed, true);
  });

  it("C09 many agents at once, and many commands to one agent at once, each get their own result", async () => {
    await using fleet = await testControlPlane();
    const agents = await Promise.all(Array.from({ length: 8 }, () => fleet.enrolled()));
    const calls = agents.flatMap((agent, which) =>
      Array.from({ length: 50 }, async (_, index) => {
        const container = `c${which}-${index}`;
        const { outcome } = await dispatchTo(fleet, agent, {
          case: "inspectContainer",
          value: { container },
        });
        assert.equal(outcome?.detail.case === "inspection" && outcome.detail.value.engineJson, container);
      }),
    );
    const answers = agents.map(async (agent) => {
      const commands = await Promise.all(Array.from({ length: 50 }, () => agent.command()));
      // In another order than they came, so that position cannot stand in for the id.
      for (const { commandId, attempt, operation } of commands.toReversed()) {
        const asked = operation?.operation;
        const engineJson = asked?.case === "inspectContainer" ? asked.value.container : "";
        agent.result({
          commandId,
          attempt,
          end: { case: "outcome", value: { detail: { case: "inspection", value: { engineJson } } } },
        });
      }
    });
    await Promise.all([...calls, ...answers]);
  });

  it("C11 the number of commands in flight is exact at every moment, and zero when idle", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const { dispatcher } = fleet.controlPlane;
    const controller = new AbortController();
    const calls = [
      dispatchTo(fleet, agent, inspectWeb),
      dispatchTo(fleet, agent, inspectWeb),
      dispatchTo(fleet, agent, inspectWeb, { signal: controller.signal }),
    ] as const;
    const settled = Promise.allSettled(calls);
    assert.equal(dispatcher.inFlight, 3);
    agent.succeed(await agent.command());
    await calls[0];
    assert.equal(dispatcher.inFlight, 2);
    agent.fail(await agent.command(), "CONFLICT", "no");
    await rejection(calls[1], "CONFLICT");
    assert.equal(dispatcher.inFlight, 1);
    controller.abort(new Error("the caller has gone"));
    await assert.rejects(calls[2], /the caller has gone/);
    assert.equal(dispatcher.inFlight, 0);
    await settled;
  });

  it("C11 a read that waits for its next attempt is in flight, until its caller goes", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const { dispatcher } = fleet.controlPlane;
    const controller = new AbortController();
    const call = dispatchTo(fleet, agent, inspectWeb, { signal: controller.signal });
    agent.fail(await agent.command(), "ENGINE_UNAVAILABLE", "no engine there");
    // The answer to what was asked later comes later, too.
    const later = dispatchTo(fleet, agent, inspectWeb);
    agent.succeed(await agent.command());
    await later;
    assert.equal(dispatcher.inFlight, 1);
    controller.abort(new Error("the caller has gone"));
    await assert.rejects(call, /the caller has gone/);
    assert.equal(dispatcher.inFlight, 0);
  });

  it("C31 what only waits is cancelled at the agent when its caller goes; any other read is let be", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const controller = new AbortController();
    const { signal } = controller;
    const reading = dispatchTo(fleet, agent, inspectWeb, { signal });
    const { commandId: read } = await agent.command();
    const waiting = dispatchTo(
      fleet,
      agent,
      { case: "waitContainer", value: { container: "web" } },
      { signal },
    );
    const { commandId: wait } = await agent.command();
    controller.abort(new Error("the caller has gone"));
    for (const call of [reading, waiting]) await assert.rejects(call, /the caller has gone/);
    await agent.frame(({ cancelledCommandIds }) => cancelledCommandIds.includes(wait));
    assert.ok(!agent.frames.some(({ cancelledCommandIds }) => cancelledCommandIds.includes(read)));
  });

  it("C34 beyond the limit in flight a command is AGENT_BUSY, and none of the others is dropped", async () => {
    await using fleet = await testControlPlane({ dispatch: { maxInFlightEach: 2 } });
    const agent = await fleet.enrolled();
    const calls = [dispatchTo(fleet, agent, inspectWeb), dispatchTo(fleet, agent, inspectWeb)];
    const busy = await rejection(dispatchTo(fleet, agent, inspectWeb), "AGENT_BUSY");
    assert.ok((busy.retryAfterMs ?? 0) > 0);
    agent.succeed(await agent.command());
    agent.succeed(await agent.command());
    await Promise.all(calls);
    const next = dispatchTo(fleet, agent, inspectWeb);
    agent.succeed(await agent.command());
    await next;
  });

  it("O19 an agent that does not know an operation says so, and reads leave no trace in the journal", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, inspectWeb);
    agent.fail(await agent.command(), "OPERATION_UNSUPPORTED", "what is inspect_container?");
    await rejection(call, "OPERATION_UNSUPPORTED");
    assert.deepEqual((await fleet.client(CommandService).listCommands({})).commands, []);
  });
});
