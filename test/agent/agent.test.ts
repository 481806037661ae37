import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { FleetError } from "../../src/domain/errors.ts";
import { EngineState } from "../../src/gen/fairlead/agent/v1/frame_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec, slowEngine } from "../support/agent-harness.ts";
import { eventually } from "../support/fake-control-plane.ts";

describe("an agent", () => {
  let harness: AgentHarness;
  beforeEach(() => {
    harness = new AgentHarness();
  });
  afterEach(() => harness.close());

  it("enrols with its token, and comes back with its id alone", async () => {
    const plane = await harness.controlPlane();
    const dataDir = await harness.folder();
    const first = await harness.agent({ server: plane.address, dataDir, name: "one" });
    await first.ready;
    assert.equal(first.state(), "online");
    assert.equal(first.agentId(), "agent-1");
    const { hello } = await plane.session(1);
    assert.equal(hello.identity.case, "registration");
    assert.equal(hello.hostFacts?.engineId, "engine-1");
    assert.ok(hello.capabilities.includes("start_container"));
    await first.close();
    assert.equal(first.state(), "stopped");

    const second = await harness.agent({ server: plane.address, dataDir });
    await second.ready;
    const { hello: again } = await plane.session(2);
    assert.deepEqual(again.identity.case === "reconnection" && again.identity.value.agentId, "agent-1");
    assert.deepEqual(again.journalId, hello.journalId);
    assert.notDeepEqual(again.instanceId, hello.instanceId);
    assert.ok(harness.lines.some(({ msg }) => String(msg).includes("the token is not used")));
  });

  it("S11 does not connect when another agent uses its data folder, and says so; the folder is free after that one's end", async () => {
    const plane = await harness.controlPlane();
    const dataDir = await harness.folder();
    const first = await harness.agent({ server: plane.address, dataDir });
    await first.ready;
    const files = filesOf(dataDir);
    await assert.rejects(harness.agent({ server: plane.address, dataDir }), {
      reason: "STORAGE_UNAVAILABLE",
      message: /data folder .* is in use by another agent; end that one first/,
    });
    assert.deepEqual(filesOf(dataDir), files);
    assert.equal(plane.sessions.length, 1);
    await first.close();
    await (await harness.agent({ server: plane.address, dataDir })).ready;
  });

  it("gives its data folder free when it cannot start", async () => {
    const dataDir = await harness.folder();
    const options = { server: "127.0.0.1:1", dataDir };
    await assert.rejects(harness.agent({ ...options, token: undefined as unknown as string }), {
      reason: "INVALID_ARGUMENT",
    });
    await harness.agent(options);
  });

  it("leaves no socket and no timer behind when it is closed", async () => {
    const plane = await harness.controlPlane();
    const idle = resources();
    const agent = await harness.agent({ server: plane.address });
    await plane.session();
    await agent.close();
    await eventually("an idle process", () => (resources() <= idle ? true : undefined));
  });

  it("does not start without token and identity", async () => {
    const options = { server: "127.0.0.1:1", token: undefined as unknown as string };
    await assert.rejects(harness.agent(options), { reason: "INVALID_ARGUMENT", message: /token/ });
  });

  it("names what is wrong with its options", async () => {
    await assert.rejects(harness.agent({ server: "nowhere" }), {
      reason: "INVALID_ARGUMENT",
      message: /host:port/,
    });
    await assert.rejects(harness.agent({ server: "a:1", name: "no spaces" }), { message: /name/ });
    await assert.rejects(harness.agent({ server: "a:1", uniqueByName: true }), { message: /name/ });
  });

  it("S22 a refused enrolment ends the agent with the refusal and says what to do", async () => {
    const refusal = new FleetError("UNAUTHENTICATED", "no such token");
    const plane = await harness.controlPlane({
      welcome: () => {
        throw refusal;
      },
    });
    const agent = await harness.agent({ server: plane.address });
    assert.equal((await agent.done)?.reason, "UNAUTHENTICATED");
    assert.equal(agent.state(), "stopped");
    await assert.rejects(agent.ready, { reason: "UNAUTHENTICATED" });
    assert.equal(plane.sessions.length, 1);
    assert.ok(harness.lines.some(({ msg }) => String(msg).includes("create a new token")));
  });

  it("O21 S19 while the engine is down reads say so and the host stays; a fresh snapshot follows its return", async () => {
    const plane = await harness.controlPlane();
    await harness.agent({ server: plane.address });
    const session = await plane.session();
    const told = (state: EngineState) => () =>
      session.frames.some(({ frame }) => frame.engineState === state) || undefined;
    await session.until("the engine", told(EngineState.AVAILABLE));
    harness.engine.setAvailable(false);
    await session.until("the loss", told(EngineState.UNAVAILABLE));
    const read = session.command({ case: "inspectContainer", value: { container: "x" } });
    const { end } = await session.result(read);
    assert.equal(end.case === "failure" && end.value.reason, "ENGINE_UNAVAILABLE");

    harness.engine.setAvailable(true);
    const id = await harness.engine.createContainer("born", sleepingSpec(), neverAborted);
    await session.until("the newcomer", () => session.inventory().get(id));
    const steps = session.all("inventory").map(({ update }) => update.case);
    assert.ok(steps.filter((step) => step === "snapshotEnd").length >= 2);
    assert.equal(session.ended, false);
    assert.equal(plane.sessions.length, 1);
  });

  it("O21 an agent that starts before its engine waits for it", async () => {
    const plane = await harness.controlPlane();
    harness.engine.setAvailable(false);
    const agent = await harness.agent({ server: plane.address });
    await eventually("the notice", () =>
      harness.lines.find(({ msg }) => String(msg).includes("waiting for the engine")),
    );
    assert.equal(agent.state(), "connecting");
    harness.engine.setAvailable(true);
    await agent.ready;
  });

  it("S12 drains: takes nothing new, lets running commands end, sends their results, closes", async () => {
    const plane = await harness.controlPlane();
    const slow = new AgentHarness(slowEngine(150));
    try {
      const agent = await slow.agent({ server: plane.address });
      const session = await plane.session();
      const id = await slow.engine.createContainer("slow", sleepingSpec(), neverAborted);
      const running = session.command({ case: "startContainer", value: { container: id } });
      await session.until("the acceptance", () => session.all("acceptances")[0]);
      const drained = agent.drain(5000);
      assert.equal(agent.state(), "draining");
      const late = session.command({ case: "startContainer", value: { container: id } });
      const refused = (await session.result(late)).end;
      assert.equal(refused.case === "failure" && refused.value.reason, "DRAINING");
      assert.equal((await session.result(running)).end.case, "outcome");
      await drained;
      assert.equal(await agent.done, undefined);
      await eventually("the end of the stream", () => session.ended || undefined);
    } finally {
      await slow.close();
    }
  });

  it("C28 a result that a cut connection swallowed is sent again by the next session", async () => {
    const plane = await harness.controlPlane();
    const dataDir = await harness.folder();
    await harness.agent({ server: plane.address, dataDir });
    const session = await plane.session();
    const id = await harness.engine.createContainer("kept", sleepingSpec(), neverAborted);
    const command = session.command({ case: "startContainer", value: { container: id } });
    await session.result(command);
    session.fail(new FleetError("DRAINING", "gone"));
    const next = await plane.session(2);
    assert.deepEqual(next.hello.heldResultCommandIds, [command]);
    const { end } = await next.result(command);
    assert.equal(end.case === "outcome" && end.value.changed, true);
    next.send({ acknowledgedCommandIds: [command] });
    await delay(50);
    next.fail(new FleetError("DRAINING", "gone"));
    const last = await plane.session(3);
    assert.deepEqual(last.hello.heldResultCommandIds, []);
  });

  it("C28 a held result that the welcome acknowledges is not sent again", async () => {
    const plane = await harness.controlPlane({
      welcome: ({ heldResultCommandIds }) => ({ acknowledgedCommandIds: heldResultCommandIds }),
    });
    await harness.agent({ server: plane.address });
    const session = await plane.session();
    const container = await harness.engine.createContainer("kept", sleepingSpec(), neverAborted);
    const command = session.command({ case: "startContainer", value: { container } });
    await session.result(command);
    session.fail(new FleetError("DRAINING", "gone"));
    const next = await plane.session(2);
    assert.deepEqual(next.hello.heldResultCommandIds, [command]);
    const later = next.command({ case: "inspectContainer", value: { container } });
    await next.result(later);
    assert.deepEqual(
      next.results.map(({ commandId }) => commandId),
      [later],
    );
    next.fail(new FleetError("DRAINING", "gone"));
    assert.deepEqual((await plane.session(3)).hello.heldResultCommandIds, []);
  });
});

function resources(): number {
  const ours = new Set(["TCPSocketWrap", "Timeout", "Immediate"]);
  return process.getActiveResourcesInfo().filter((name) => ours.has(name)).length;
}

/** What is in a folder, with every file's contents. */
function filesOf(folder: string): ReadonlyMap<string, string> {
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}
