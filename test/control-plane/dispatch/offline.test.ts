import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { newId } from "../../../src/domain/ids.ts";
import { CommandState } from "../../../src/gen/fairlead/command/v1/command_pb.js";
import { CommandService } from "../../../src/gen/fairlead/command/v1/command_service_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { eventually, type TestControlPlane, testControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb, rejection, stopWeb } from "../../support/dispatching.ts";
import type { RawAgent } from "../../support/raw-agent.ts";

async function gone(fleet: TestControlPlane): Promise<RawAgent> {
  const agent = await fleet.enrolled();
  agent.close();
  await eventually(() => !fleet.controlPlane.sessions.isOnline(agent.identity.agentId), "offline");
  return agent;
}

async function stateOf(fleet: TestControlPlane, id: string): Promise<CommandState | undefined> {
  return (await fleet.client(CommandService).getCommand({ id })).command?.state;
}

describe("commands for an agent that is away", () => {
  for (const [what, operation] of [
    ["read", inspectWeb],
    ["change", stopWeb],
  ] as const) {
    it(`C30 WAIT: a ${what} waits for the agent and is sent when it comes`, async () => {
      await using fleet = await testControlPlane();
      const agent = await gone(fleet);
      const call = dispatchTo(fleet, agent, operation, { whenOffline: "wait" });
      const back = await fleet.returned(agent);
      back.succeed(await back.command(), true);
      assert.equal((await call).outcome?.changed, true);
    });

    it(`C30 WAIT: a ${what} has only the time that is left when the agent comes`, async () => {
      let aheadMs = 0;
      const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
      await using fleet = await testControlPlane({ clock });
      const agent = await gone(fleet);
      const { signal } = new AbortController();
      const call = dispatchTo(fleet, agent, operation, { whenOffline: "wait", timeoutMs: 60_000, signal });
      aheadMs = 20_000;
      const back = await fleet.returned(agent);
      const command = await back.command();
      assert.ok(Number(command.timeout?.seconds) <= 40, `${command.timeout?.seconds}`);
      back.succeed(command);
      await call;
      assert.equal(getEventListeners(signal, "abort").length, 0);
    });

    it(`C30 WAIT: whoever waits with a ${what} and goes is let go at once`, async () => {
      await using fleet = await testControlPlane();
      const agent = await gone(fleet);
      const controller = new AbortController();
      const { signal } = controller;
      const call = dispatchTo(fleet, agent, operation, { whenOffline: "wait", timeoutMs: 3_600_000, signal });
      controller.abort(new Error("the caller has gone"));
      await assert.rejects(call, /the caller has gone/);
      assert.equal(getEventListeners(signal, "abort").length, 0);
    });

    it(`C30 WAIT: a ${what} fails with AGENT_OFFLINE when the agent has not come in time`, async () => {
      await using fleet = await testControlPlane();
      const agent = await gone(fleet);
      await rejection(
        dispatchTo(fleet, agent, operation, { whenOffline: "wait", timeoutMs: 50 }),
        "AGENT_OFFLINE",
      );
      assert.deepEqual((await fleet.client(CommandService).listCommands({})).commands, []);
    });
  }

  it("C30 QUEUE: the call returns at once, the command is pending, and runs when the agent comes", async () => {
    await using fleet = await testControlPlane();
    const agent = await gone(fleet);
    const { commandId, outcome } = await dispatchTo(fleet, agent, stopWeb, { whenOffline: "queue" });
    assert.equal(outcome, undefined);
    const { command: queued } = await fleet.client(CommandService).getCommand({ id: commandId });
    assert.equal(queued?.state, CommandState.PENDING);
    const day = 24n * 60n * 60n;
    assert.equal((queued.expireTime?.seconds ?? 0n) - (queued.createTime?.seconds ?? 0n), day);
    const back = await fleet.returned(agent);
    const command = await back.command();
    assert.deepEqual([command.commandId, command.attempt], [commandId, 1]);
    assert.equal(command.timeout?.seconds, 30n);
    back.succeed(command, true);
    await eventually(async () => (await stateOf(fleet, commandId)) === CommandState.SUCCEEDED, "it ran");
  });

  it("C30 QUEUE: what waits survives a restart of the control plane, in its order", async () => {
    await using fleet = await testControlPlane();
    const agent = await gone(fleet);
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      ids.push((await dispatchTo(fleet, agent, stopWeb, { whenOffline: "queue" })).commandId);
    }
    await fleet.restart();
    const back = await fleet.returned(agent);
    const commands = [await back.command(), await back.command(), await back.command()];
    assert.deepEqual(
      commands.map(({ commandId }) => commandId),
      ids,
    );
  });

  it("C30 QUEUE: a command that was sent in time does not expire while it runs", async () => {
    await using fleet = await testControlPlane();
    const agent = await gone(fleet);
    const expireTime = Date.now() + 1_000;
    const { commandId } = await dispatchTo(fleet, agent, stopWeb, { whenOffline: "queue", expireTime });
    const back = await fleet.returned(agent);
    const command = await back.command();
    back.accept(command);
    await delay(Math.max(0, expireTime + 100 - Date.now()));
    back.succeed(command, true);
    const { command: ended } = await fleet.client(CommandService).waitCommand({ id: commandId });
    assert.equal(ended?.state, CommandState.SUCCEEDED);
  });

  it("C30 QUEUE: an expired command is EXPIRED and never runs", async () => {
    await using fleet = await testControlPlane();
    const agent = await gone(fleet);
    const expireTime = Date.now() + 60;
    const { commandId } = await dispatchTo(fleet, agent, stopWeb, { whenOffline: "queue", expireTime });
    await eventually(async () => (await stateOf(fleet, commandId)) === CommandState.EXPIRED, "expired");
    const back = await fleet.returned(agent);
    assert.deepEqual(
      back.frames.flatMap((frame) => frame.commands),
      [],
    );
  });

  it("C30 QUEUE: a command expires also when the control plane was started again meanwhile", async () => {
    await using fleet = await testControlPlane();
    const agent = await gone(fleet);
    const expireTime = Date.now() + 400;
    const { commandId } = await dispatchTo(fleet, agent, stopWeb, { whenOffline: "queue", expireTime });
    await fleet.restart();
    await eventually(async () => (await stateOf(fleet, commandId)) === CommandState.EXPIRED, "expired");
  });

  it("C30 QUEUE with an agent that is there returns at once as well, and the end is there later", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const { commandId, outcome } = await dispatchTo(fleet, agent, stopWeb, { whenOffline: "queue" });
    assert.equal(outcome, undefined);
    agent.succeed(await agent.command(), true);
    const { command } = await fleet.client(CommandService).waitCommand({ id: commandId });
    assert.equal(command?.state, CommandState.SUCCEEDED);
  });

  it("C31 cancelling a pending command means that it never runs", async () => {
    await using fleet = await testControlPlane();
    const agent = await gone(fleet);
    const { commandId } = await dispatchTo(fleet, agent, stopWeb, { whenOffline: "queue" });
    const { command } = await fleet.client(CommandService).cancelCommand({ id: commandId });
    assert.equal(command?.state, CommandState.CANCELLED);
    const back = await fleet.returned(agent);
    assert.deepEqual(
      back.frames.flatMap((frame) => frame.commands),
      [],
    );
  });

  it("C31 cancelling a running command asks the agent, and the answer says what really happened", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const command = await agent.command();
    agent.accept(command);
    const cancelling = fleet.client(CommandService).cancelCommand({ id: command.commandId });
    await agent.frame((frame) => frame.cancelledCommandIds.includes(command.commandId));
    agent.succeed(command, true);
    assert.equal((await cancelling).command?.state, CommandState.SUCCEEDED);
    assert.equal((await cancelling).command?.cancelRequested, true);
    await call;
  });

  it("C31 an agent that had not begun answers CANCELLED, and that is the end", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const { commandId, attempt } = await agent.command();
    const cancelling = fleet.client(CommandService).cancelCommand({ id: commandId });
    await agent.frame((frame) => frame.cancelledCommandIds.includes(commandId));
    agent.result({
      commandId,
      attempt,
      end: { case: "failure", value: { reason: "CANCELLED", message: "not begun" } },
    });
    assert.equal((await cancelling).command?.state, CommandState.CANCELLED);
    await rejection(call, "CANCELLED");
  });

  it("C31 a cancelled command that a full list of the hello may have left out is asked about again", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const { commandId } = await agent.command();
    agent.close();
    await eventually(() => !fleet.controlPlane.sessions.isOnline(agent.identity.agentId), "offline");
    await fleet.client(CommandService).cancelCommand({ id: commandId, timeout: { seconds: 0n, nanos: 0 } });
    const others = Array.from({ length: 350 }, () => newId());
    const back = await fleet.returned(agent, { runningCommandIds: others });
    const again = await back.command();
    await back.frame((frame) => frame.cancelledCommandIds.includes(commandId));
    back.succeed(again, true);
    await call;
  });

  it("C31 a command that had begun when it was cancelled is FAILED, because it may have done something", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const { commandId, attempt } = await agent.command();
    agent.result({
      commandId,
      attempt,
      startedTime: { seconds: 1_700_000_000n, nanos: 0 },
      end: { case: "failure", value: { reason: "CANCELLED", message: "broken off" } },
    });
    await rejection(call, "CANCELLED");
    assert.equal(await stateOf(fleet, commandId), CommandState.FAILED);
  });

  it("C31 a cancelled command is not tried again, although a retry could help", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    const cancelling = fleet.client(CommandService).cancelCommand({ id: sent.commandId });
    await agent.frame((frame) => frame.cancelledCommandIds.includes(sent.commandId));
    agent.fail(sent, "ENGINE_UNAVAILABLE", "no engine there");
    assert.equal((await cancelling).command?.state, CommandState.FAILED);
    await rejection(call, "ENGINE_UNAVAILABLE");
  });

  it("C31 a cancelled command that never arrived is not sent again; one that did is asked about again", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const calls = [dispatchTo(fleet, agent, stopWeb), dispatchTo(fleet, agent, stopWeb)] as const;
    const [lost, arrived] = [await agent.command(), await agent.command()];
    agent.close();
    await eventually(() => !fleet.controlPlane.sessions.isOnline(agent.identity.agentId), "offline");
    for (const { commandId } of [lost, arrived]) {
      await fleet.client(CommandService).cancelCommand({ id: commandId, timeout: { seconds: 0n, nanos: 0 } });
    }
    const back = await fleet.returned(agent, { runningCommandIds: [arrived.commandId] });
    await back.frame((frame) => frame.cancelledCommandIds.includes(arrived.commandId));
    back.succeed(arrived, true);
    await calls[1];
    await rejection(calls[0], "CANCELLED");
    assert.deepEqual(
      back.frames.flatMap((frame) => frame.commands),
      [],
    );
  });

  it("C38 a command can be followed from its state now to its end", async () => {
    await using fleet = await testControlPlane();
    const agent = await gone(fleet);
    const { commandId } = await dispatchTo(fleet, agent, stopWeb, { whenOffline: "queue" });
    const states: (CommandState | undefined)[] = [];
    const watching = (async () => {
      for await (const { command } of fleet.client(CommandService).watchCommand({ id: commandId })) {
        states.push(command?.state);
        if (command?.state === CommandState.SUCCEEDED) {
          return command.transitions.map(({ state, attempt, sessionEpoch }) => [
            state,
            attempt,
            sessionEpoch,
          ]);
        }
      }
      throw new Error("the stream ended before the command");
    })();
    await eventually(() => states.length === 1, "the first word");
    const back = await fleet.returned(agent);
    const command = await back.command();
    back.accept(command);
    back.succeed(command);
    assert.deepEqual(await watching, [
      [CommandState.PENDING, 0, 0],
      [CommandState.DISPATCHED, 1, 2],
      [CommandState.ACCEPTED, 1, 2],
      [CommandState.SUCCEEDED, 1, 2],
    ]);
    assert.deepEqual([states[0], states.at(-1)], [CommandState.PENDING, CommandState.SUCCEEDED]);
  });

  it("C30 a host that is deleted cancels what was never sent", async () => {
    await using fleet = await testControlPlane();
    const agent = await gone(fleet);
    const { commandId } = await dispatchTo(fleet, agent, stopWeb, { whenOffline: "queue" });
    await fleet.client(HostService).deleteHost({ host: agent.welcome?.hostName ?? "" });
    assert.equal(await stateOf(fleet, commandId), CommandState.CANCELLED);
  });
});
