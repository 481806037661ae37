import assert from "node:assert/strict";
import type { CommandSink } from "../../../src/agent/execution/command-sink.ts";
import { Fence } from "../../../src/agent/execution/fence.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import type { CommandResult } from "../../../src/gen/fairlead/agent/v1/command_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import type { FakeControlPlane, FakeSession } from "../../support/fake-control-plane.ts";
import { HeldEngine } from "./held-engine.ts";

const nothing = () => undefined;
const start = (container: string) => ({ case: "startContainer", value: { container } }) as const;

/** A session as a fence sees it. */
function session(epoch: number): CommandSink & { lapsed: boolean; silentMs: number } {
  return {
    agentId: "agent-1",
    epoch,
    lapsed: false,
    silentMs: 0,
    congested: false,
    accepted: nothing,
    ended: nothing,
  };
}

const lost = { reason: "SESSION_LOST" };

describe("the fence of an agent", () => {
  it("S04 lets commands begin only while a session lives and its lease has not run out", () => {
    const fence = new Fence();
    assert.equal(fence.open, false);
    const first = session(7);
    fence.begin(first);
    assert.equal(fence.open, true);
    first.lapsed = true;
    assert.equal(fence.open, false);
    const second = session(8);
    fence.begin(second);
    fence.end(first, "SESSION_LOST");
    assert.equal(fence.open, true);
    fence.end(second, "SESSION_LOST");
    assert.equal(fence.open, false);
  });

  it("S04 lets what has begun go on when the connection breaks, until the lease is over", async () => {
    const fence = new Fence();
    const first = session(1);
    fence.begin(first);
    fence.end(first, "SESSION_LOST");
    await fence.pass(1);
    first.lapsed = true;
    await assert.rejects(fence.pass(1), lost);
  });

  it("S04 stops what has begun when it was told that another session took over", async () => {
    for (const reason of ["SESSION_SUPERSEDED", "AGENT_REVOKED"] as const) {
      const fence = new Fence();
      const first = session(1);
      fence.begin(first);
      fence.end(first, reason);
      await assert.rejects(fence.pass(1), lost);
    }
  });

  it("S04 lets what an earlier session brought go on only when the next epoch is its own", async () => {
    const fence = new Fence();
    fence.begin(session(4));
    fence.begin(session(5));
    await fence.pass(4);
    assert.equal(fence.isOutdated(4), false);
    fence.begin(session(7));
    assert.equal(fence.largestEpoch, 7);
    assert.equal(fence.isOutdated(5), true);
    await assert.rejects(fence.pass(5), lost);
    await fence.pass(7);
  });

  it("S04 hears news that wait before it decides", async () => {
    const fence = new Fence();
    const first = session(1);
    fence.begin(first);
    first.silentMs = 500;
    const passing = fence.pass(1);
    fence.end(first, "SESSION_SUPERSEDED");
    await assert.rejects(passing, lost);
  });
});

describe("an agent that was replaced", () => {
  let engine: HeldEngine;
  let harness: AgentHarness;
  let plane: FakeControlPlane;
  let first: FakeSession;
  let gate: PromiseWithResolvers<void>;
  let epochStep: number;
  let skippedMs: number;
  let running: string;
  let waiting: string;
  let one: string;
  let other: string;

  // One command at the engine, one that waits for its turn.
  beforeEach(async () => {
    engine = new HeldEngine();
    harness = new AgentHarness(engine);
    gate = Promise.withResolvers();
    epochStep = 1;
    skippedMs = 0;
    one = await engine.createContainer("one", sleepingSpec(), neverAborted);
    other = await engine.createContainer("other", sleepingSpec(), neverAborted);
    plane = await harness.controlPlane({
      welcome: (_hello, number) => (number === 1 ? {} : { sessionEpoch: first.epoch + epochStep }),
    });
    await harness.agent({
      server: plane.address,
      limits: { concurrentCommands: 1 },
      clock: { ...systemClock, monotonic: () => systemClock.monotonic() + skippedMs },
    });
    first = await plane.session();
    await first.until("the inventory", () => first.inventory().get(other));
    engine.before = () => gate.promise;
    running = first.command(start(one));
    waiting = first.command(start(other));
    await first.until("two acceptances", () => first.all("acceptances")[1]);
    await first.until("the call", () => engine.calls[0]);
  });
  afterEach(async () => {
    gate.resolve();
    await harness.close();
  });

  it("S04 C27 never begins what waited, and says so truthfully, once another process had a session", async () => {
    epochStep = 2;
    first.fail(new FleetError("SESSION_SUPERSEDED", "another one took over"));
    const next = await plane.session(2);
    assert.deepEqual(next.hello.runningCommandIds.toSorted(), [running, waiting].toSorted());
    const result = await next.result(waiting);
    assert.equal(reasonOf(result), "SESSION_LOST");
    assert.equal(result.startedTime, undefined);
    gate.resolve();
    assert.equal((await next.result(running)).end.case, "outcome");
    assert.deepEqual(engine.calls, [`start ${one}`]);
  });

  it("C28 begins what waited in its own next session, and not before", async () => {
    first.fail(new FleetError("DRAINING", "cut"));
    const next = await plane.session(2);
    gate.resolve();
    assert.equal((await next.result(waiting)).end.case, "outcome");
    assert.equal((await next.result(running)).end.case, "outcome");
    assert.deepEqual(engine.calls, [`start ${one}`, `start ${other}`]);
  });

  it("S07 takes nothing that waited in its socket while it stood still for longer than its lease", async () => {
    skippedMs = 60_000;
    gate.resolve();
    const late = first.command(start(one));
    const next = await plane.session(2);
    assert.ok(!next.hello.runningCommandIds.includes(late));
    assert.ok(!first.all("acceptances").some(({ commandId }) => commandId === late));
    assert.equal((await next.result(waiting)).end.case, "outcome");
    assert.equal(harness.lines.filter(({ reason }) => reason === "LEASE_EXPIRED").length, 1);
  });
});

function reasonOf({ end }: CommandResult): string | undefined {
  return end.case === "failure" ? end.value.reason : undefined;
}
