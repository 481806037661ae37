import assert from "node:assert/strict";
import { newId } from "../../../src/domain/ids.ts";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { FleetError } from "../../../src/domain/errors.ts";
import { CommandState } from "../../../src/gen/fairlead/command/v1/command_pb.js";
import { CommandService } from "../../../src/gen/fairlead/command/v1/command_service_pb.js";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { EventService } from "../../../src/gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import type { Command } from "../../../src/gen/fairlead/agent/v1/command_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { eventually, type TestControlPlane, testControlPlane } from "../../support/control-plane-harness.ts";
import type { RawAgent } from "../../support/raw-agent.ts";
import { dispatchTo, rejection, stopWeb } from "../../support/dispatching.ts";

async function stored(fleet: TestControlPlane, id: string) {
  const { command } = await fleet.client(CommandService).getCommand({ id });
  assert.ok(command);
  return command;
}

/** The agent accepts what it was sent. Resolves when the control plane has heard of it. */
async function acceptance(fleet: TestControlPlane, agent: RawAgent, sent: Command): Promise<void> {
  agent.accept(sent);
  await eventually(
    async () => (await stored(fleet, sent.commandId)).state === CommandState.ACCEPTED,
    "accepted",
  );
}

describe("commands that change something", () => {
  it("C10 duration, attempts and times of a journaled command can be read afterwards", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    await acceptance(fleet, agent, sent);
    agent.succeed(sent, true);
    const { commandId } = await call;
    const command = await stored(fleet, commandId);
    assert.equal(command.state, CommandState.SUCCEEDED);
    assert.deepEqual(
      [command.operation, command.container, command.caller, command.attempt],
      ["stop_container", "web", "test", 1],
    );
    assert.equal(command.changed, true);
    assert.equal(command.sessionEpoch, agent.welcome?.sessionEpoch);
    const times = [command.createTime, command.dispatchTime, command.acceptTime, command.endTime].map(
      (time) => Number(time?.seconds) * 1e9 + Number(time?.nanos),
    );
    assert.ok(times.every((time) => time > 0));
    assert.deepEqual(
      times,
      times.toSorted((one, other) => one - other),
    );
    assert.ok(command.duration !== undefined);
  });

  it("C10 who lists commands sees at once what was accepted, though it would be written later", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    await acceptance(fleet, agent, sent);
    const accepted = { states: [CommandState.ACCEPTED] };
    const { commands } = await fleet.client(CommandService).listCommands(accepted);
    assert.deepEqual(
      commands.map(({ id }) => id),
      [sent.commandId],
    );
    agent.succeed(sent, true);
    await call;
  });

  it("C03 a caller's time passes: DEADLINE_EXCEEDED with the id, nothing is undone, and the true end is there later", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb, { timeoutMs: 50 });
    const sent = await agent.command();
    agent.accept(sent);
    const error = await rejection(call, "DEADLINE_EXCEEDED");
    assert.equal(error.metadata["command_id"], sent.commandId);
    agent.succeed(sent, true);
    await agent.frame((frame) => frame.acknowledgedCommandIds.includes(sent.commandId));
    assert.equal((await stored(fleet, sent.commandId)).state, CommandState.SUCCEEDED);
  });

  it("C05 an offline agent: nothing is journaled", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    agent.close();
    await eventually(() => !fleet.controlPlane.sessions.isOnline(agent.identity.agentId), "offline");
    await rejection(dispatchTo(fleet, agent, stopWeb), "AGENT_OFFLINE");
    assert.deepEqual((await fleet.client(CommandService).listCommands({})).commands, []);
  });

  it("C08 the first terminal state wins for ever", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    agent.fail(sent, "CONFLICT", "first");
    agent.succeed(sent, true);
    await rejection(call, "CONFLICT");
    agent.succeed(sent, true);
    await eventually(() => fleet.controlPlane.dispatcher.strayResults >= 1, "the later one was counted");
    const command = await stored(fleet, sent.commandId);
    assert.deepEqual(
      [command.state, command.reason, command.message],
      [CommandState.FAILED, "CONFLICT", "first"],
    );
  });

  it("C08 the end of a command is one event", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    agent.succeed(sent);
    agent.succeed(sent);
    await call;
    const { events } = await fleet
      .client(EventService)
      .listEvents({ filter: { types: [EventType.COMMAND_ENDED] } });
    assert.deepEqual(
      events.map(({ commandId, actor, attributes }) => [
        commandId,
        actor,
        attributes["state"],
        attributes["operation"],
      ]),
      [[sent.commandId, "test", "SUCCEEDED", "stop_container"]],
    );
  });

  it("C28 a command that never arrived is sent again with the same id in the next session", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    agent.close();
    const back = await fleet.returned(agent);
    const again = await back.command();
    assert.deepEqual([again.commandId, again.attempt, again.sessionEpoch], [sent.commandId, 1, 2]);
    back.succeed(again, true);
    assert.equal((await call).outcome?.changed, true);
  });

  it("C28 a command that is sent again has no more than the time that is left", async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
    await using fleet = await testControlPlane({ clock });
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb, { timeoutMs: 60_000 });
    assert.equal((await agent.command()).timeout?.seconds, 60n);
    agent.close();
    aheadMs = 20_000;
    const back = await fleet.returned(agent);
    const again = await back.command();
    assert.ok((again.timeout?.seconds ?? 60n) <= 40n, `${again.timeout?.seconds}`);
    back.succeed(again);
    await call;
  });

  it("C28 a result that the agent holds over a cut connection is taken, and nothing is sent again", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    agent.close();
    const back = await fleet.returned(agent, { heldResultCommandIds: [sent.commandId] });
    assert.deepEqual(back.welcome?.acknowledgedCommandIds, []);
    back.succeed(sent, true);
    assert.equal((await call).outcome?.changed, true);
    await back.frame((frame) => frame.acknowledgedCommandIds.includes(sent.commandId));
    assert.deepEqual(
      back.frames.flatMap((frame) => frame.commands),
      [],
    );
  });

  it("C28 a command that runs on over a cut connection is waited for", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    agent.accept(sent);
    agent.close();
    const back = await fleet.returned(agent, { runningCommandIds: [sent.commandId] });
    back.succeed(sent, true);
    await call;
    assert.deepEqual(
      back.frames.flatMap((frame) => frame.commands),
      [],
    );
  });

  it("C28 a command that a full list of the hello may have left out is sent again with the same id, and not given up", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    await acceptance(fleet, agent, sent);
    agent.close();
    const others = Array.from({ length: 350 }, () => newId());
    const back = await fleet.returned(agent, { runningCommandIds: others });
    const again = await back.command();
    assert.deepEqual([again.commandId, again.attempt], [sent.commandId, sent.attempt]);
    back.succeed(again, true);
    assert.equal((await call).commandId, sent.commandId);
  });

  it("S15 a result for an id that no command has is counted and not repeated to the agent", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const late = newId();
    for (const commandId of ["not-an-id", "x".repeat(36), late]) {
      agent.result({ commandId, attempt: 1, end: { case: "outcome", value: {} } });
    }
    const acknowledged = await agent.frame(({ acknowledgedCommandIds }) =>
      acknowledgedCommandIds.includes(late),
    );
    assert.deepEqual(acknowledged.acknowledgedCommandIds, [late]);
    assert.equal(fleet.controlPlane.dispatcher.strayResults, 3);
    assert.deepEqual(
      agent.frames.flatMap((frame) => frame.acknowledgedCommandIds),
      [late],
    );
  });

  it("C41 an accepted command that the agent no longer knows is OUTCOME_UNKNOWN and never sent again", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    await acceptance(fleet, agent, sent);
    agent.close();
    const back = await fleet.returned(agent);
    await rejection(call, "OUTCOME_UNKNOWN");
    assert.deepEqual(
      back.frames.flatMap((frame) => frame.commands),
      [],
    );
  });

  it("C41 a command that the agent ran when it was back, and no longer knows later, is OUTCOME_UNKNOWN and never sent again", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const { commandId } = await agent.command();
    agent.close();
    const back = await fleet.returned(agent, { runningCommandIds: [commandId] });
    back.close();
    const later = await fleet.returned(agent);
    await rejection(call, "OUTCOME_UNKNOWN");
    assert.deepEqual(
      later.frames.flatMap((frame) => frame.commands),
      [],
    );
  });

  it("C41 a command that was sent to a journal that is gone is OUTCOME_UNKNOWN", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    await agent.command();
    agent.close();
    await fleet.returned(agent, { journalId: randomBytes(16) });
    await rejection(call, "OUTCOME_UNKNOWN");
  });

  it("C26 a control plane that starts again brings what was open to its true end", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const calls = [dispatchTo(fleet, agent, stopWeb), dispatchTo(fleet, agent, stopWeb)];
    const abandoned = Promise.allSettled(calls);
    const [unsent, held] = [await agent.command(), await agent.command()];
    agent.close();
    await fleet.restart();
    await abandoned;
    const back = await fleet.returned(agent, { heldResultCommandIds: [held.commandId] });
    const again = await back.command();
    assert.equal(again.commandId, unsent.commandId);
    back.succeed(again, true);
    back.fail(held, "CONFLICT", "told late");
    await back.frame((frame) => frame.acknowledgedCommandIds.includes(held.commandId));
    await back.frame((frame) => frame.acknowledgedCommandIds.includes(unsent.commandId));
    assert.equal((await stored(fleet, unsent.commandId)).state, CommandState.SUCCEEDED);
    assert.deepEqual(
      [(await stored(fleet, held.commandId)).state, (await stored(fleet, held.commandId)).reason],
      [CommandState.FAILED, "CONFLICT"],
    );
  });

  it("C28 a held result that was stored already is acknowledged in the welcome", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    agent.succeed(sent);
    await call;
    agent.close();
    const back = await fleet.returned(agent, { heldResultCommandIds: [sent.commandId] });
    assert.deepEqual(back.welcome?.acknowledgedCommandIds, [sent.commandId]);
  });

  it("S15 a result for a command of another agent is ignored, logged, counted and not acknowledged", async () => {
    await using fleet = await testControlPlane();
    const [agent, stranger] = [await fleet.enrolled(), await fleet.enrolled()];
    const call = dispatchTo(fleet, agent, stopWeb);
    const sent = await agent.command();
    stranger.succeed(sent, false);
    await eventually(() => fleet.controlPlane.dispatcher.strayResults === 1, "counted");
    agent.succeed(sent, true);
    assert.equal((await call).outcome?.changed, true);
    assert.ok(
      fleet.logLines.some(
        (line) =>
          line.includes(sent.commandId) && line.includes('"foreign":true') && line.includes('"level":40'),
      ),
    );
    assert.deepEqual(
      stranger.frames.flatMap((frame) => frame.acknowledgedCommandIds),
      [],
    );
  });

  it("C30 a command whose time is over before it arrived is EXPIRED and never sent", async () => {
    let now = Date.now();
    const clock = { ...systemClock, now: () => now };
    await using fleet = await testControlPlane({ clock });
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb, { timeoutMs: 2_000 });
    const { commandId } = await agent.command();
    agent.close();
    now += 10_000;
    const back = await fleet.returned(agent);
    await rejection(call, "COMMAND_EXPIRED");
    assert.equal((await stored(fleet, commandId)).state, CommandState.EXPIRED);
    assert.deepEqual(
      back.frames.flatMap((frame) => frame.commands),
      [],
    );
  });

  it("E14 deleting a host ends its open commands as OUTCOME_UNKNOWN, and its session", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const unknown = rejection(call, "OUTCOME_UNKNOWN");
    const { commandId } = await agent.command();
    await fleet.client(HostService).deleteHost({ host: agent.welcome?.hostName ?? "" });
    await unknown;
    assert.equal((await agent.ended).reason, "AGENT_REVOKED");
    assert.equal((await stored(fleet, commandId)).state, CommandState.OUTCOME_UNKNOWN);
  });

  it("E14 commands of a host whose deletion the process did not survive end at the next start", async () => {
    await using fleet = await testControlPlane();
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const { commandId } = await agent.command();
    const database = new Database(join(fleet.dataDir, "fairlead.db"));
    database.exec("DELETE FROM agent; DELETE FROM host");
    database.close();
    await fleet.restart();
    await rejection(call, "DRAINING");
    assert.equal((await stored(fleet, commandId)).state, CommandState.OUTCOME_UNKNOWN);
  });

  it("C34 a command that the agent's full queue does not take is AGENT_BUSY, and certainly did nothing", async () => {
    await using fleet = await testControlPlane({ session: { maxQueuedBytes: 200 } });
    const agent = await fleet.enrolled();
    const answering = (async () => {
      for (;;) agent.succeed(await agent.command());
    })().catch(() => undefined);
    const calls = Array.from({ length: 40 }, () => dispatchTo(fleet, agent, stopWeb));
    const busy = (await Promise.allSettled(calls)).filter(({ status }) => status === "rejected").length;
    for (const call of calls) {
      await call.catch((error: unknown) => assert.equal((error as FleetError).reason, "AGENT_BUSY"));
    }
    assert.ok(busy > 0 && busy < 40, `${busy} of 40`);
    const { commands } = await fleet.client(CommandService).listCommands({ reasons: ["AGENT_BUSY"] });
    assert.equal(commands.length, busy);
    assert.ok(commands.every(({ acceptTime }) => acceptTime === undefined));
    agent.close();
    await answering;
  });
});
