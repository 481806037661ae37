import assert from "node:assert/strict";
import type { RunningAgent } from "../../../src/agent/agent.ts";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { WaitCondition } from "../../../src/gen/fairlead/container/v1/container_wait_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import type { FakeSession } from "../../support/fake-control-plane.ts";

describe("waits of an agent", () => {
  let engine: SimulatedEngine;
  let harness: AgentHarness;
  let agent: RunningAgent;
  let session: FakeSession;
  let container: string;

  beforeEach(async () => {
    engine = new SimulatedEngine({ clock: systemClock, engineId: "engine-1" });
    harness = new AgentHarness(engine);
    container = await engine.createContainer("web", sleepingSpec(), neverAborted);
    await engine.startContainer(container, neverAborted);
    const plane = await harness.controlPlane();
    agent = await harness.agent({ server: plane.address, limits: { commandsOutOfTurn: 20 } });
    session = await plane.session();
    await session.until("the inventory", () => session.inventory().get(container));
  });
  afterEach(() => harness.close());

  const ask = (condition = WaitCondition.UNSPECIFIED) =>
    session.command({ case: "waitContainer", value: { container, condition } });
  const waiting = (count: number) =>
    session.until(`${count} wait`, () => engine.open.waits === count || undefined);
  async function reasonOf(commandId: string): Promise<string | undefined> {
    const { end } = await session.result(commandId);
    return end.case === "failure" ? end.value.reason : end.case;
  }

  it("O15 C34 so many wait at once, and one more is told that the agent is busy", async () => {
    const ids = Array.from({ length: 20 }, () => ask());
    await waiting(20);
    assert.equal(await reasonOf(ask()), "AGENT_BUSY");
    await engine.stopContainer(container, 0, neverAborted);
    for (const id of ids) assert.equal(await reasonOf(id), "outcome");
    assert.equal(engine.open.waits, 0);
    assert.equal(await reasonOf(ask()), "outcome");
  });

  it("C31 C06 a wait ends when it is cancelled, and when its session ends", async () => {
    const cancelled = ask();
    ask(WaitCondition.REMOVED);
    await waiting(2);
    session.send({ cancelledCommandIds: [cancelled] });
    assert.equal(await reasonOf(cancelled), "CANCELLED");
    session.fail(new Error("the way is gone"));
    await waiting(0);
  });

  it("S18 an agent that drains does not wait for who waits", async () => {
    const waits = ask();
    await waiting(1);
    const began = performance.now();
    const drained = agent.drain(60_000);
    assert.equal(await reasonOf(waits), "DRAINING");
    await drained;
    assert.ok(performance.now() - began < 30_000);
  });

  it("O21 an engine that goes away ends waits; one for the next end so that it is not asked again", async () => {
    const waits = ask();
    const next = ask(WaitCondition.NEXT_EXIT);
    await waiting(2);
    engine.setAvailable(false);
    assert.equal(await reasonOf(waits), "ENGINE_UNAVAILABLE");
    assert.equal(await reasonOf(next), "ENGINE_FAILED");
    engine.setAvailable(true);
  });
});
