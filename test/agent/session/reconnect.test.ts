import assert from "node:assert/strict";
import { afterSession, type SessionEnd } from "../../../src/agent/session/reconnect.ts";
import { FleetError, type Reason } from "../../../src/domain/errors.ts";
import { AgentHarness } from "../../support/agent-harness.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { eventually, type FakeControlPlane } from "../../support/fake-control-plane.ts";

const hourMs = 3_600_000;
const almostOne = () => 1 - 2 ** -40;

function ended(reason: Reason, more: Partial<SessionEnd> & { retryAfterMs?: number } = {}): SessionEnd {
  const { retryAfterMs, ...rest } = more;
  const error = new FleetError(reason, "ended", retryAfterMs === undefined ? {} : { retryAfterMs });
  return { error, livedMs: undefined, drainMs: undefined, ...rest };
}

/** The waits after ends in a row, in whole milliseconds. */
function waits(ends: readonly SessionEnd[], random = almostOne): number[] {
  let failures = 0;
  return ends.map((end) => {
    const next = afterSession(end, failures, true, random);
    assert.ok(next.kind === "wait");
    failures = next.failures;
    return Math.round(next.ms);
  });
}

describe("what an agent does after the end of a session", () => {
  it("S09 waits longer each time, to a limit", () => {
    const ends = Array.from({ length: 10 }, () => ended("SESSION_LOST"));
    assert.deepEqual(waits(ends), [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  });

  it("S09 a thousand agents are spread over the whole wait", () => {
    const counts = new Map<number, number>();
    for (let agent = 0; agent < 1000; agent += 1) {
      const random = () => ((agent * 7919) % 1000) / 1000;
      const [ms = 0] = waits([ended("SESSION_LOST", { livedMs: 60_000 })], random);
      counts.set(Math.floor(ms / 20), (counts.get(Math.floor(ms / 20)) ?? 0) + 1);
    }
    assert.ok(counts.size >= 10);
    assert.ok([...counts.values()].every((count) => count <= 120));
  });

  it("S10 a session that dies young does not reset the waiting, one that lived 30 s does", () => {
    const young = ended("SESSION_LOST", { livedMs: 29_999 });
    const old = ended("SESSION_LOST", { livedMs: 30_000 });
    assert.deepEqual(waits([young, young, young, old, young]), [200, 400, 800, 200, 400]);
  });

  it("S22 a refusal for good that names a later time is honoured", () => {
    const next = afterSession(ended("IDENTITY_IN_USE", { retryAfterMs: 2 * hourMs }), 0, true, () => 0);
    assert.ok(next.kind === "wait" && next.ms >= 2 * hourMs);
  });

  it("S22 what is refused for good is tried again no more than hourly, with advice", () => {
    const terminal: Reason[] = [
      "AGENT_REVOKED",
      "IDENTITY_IN_USE",
      "PROTOCOL_UNSUPPORTED",
      "ENGINE_CHANGED",
      "UNAUTHENTICATED",
    ];
    for (const reason of terminal) {
      const next = afterSession(ended(reason, { retryAfterMs: 1000 }), 0, true, () => 0);
      assert.ok(next.kind === "wait" && next.ms >= hourMs, reason);
      assert.ok((next.advice?.length ?? 0) > 20, reason);
    }
  });

  it("S22 a refused enrolment is not tried again, one that could not be asked for is", () => {
    assert.equal(afterSession(ended("UNAUTHENTICATED"), 0, false, () => 0).kind, "stop");
    assert.equal(afterSession(ended("ENGINE_ALREADY_ENROLLED"), 0, false, () => 0).kind, "stop");
    assert.equal(afterSession(ended("SESSION_LOST"), 0, false, () => 0).kind, "wait");
    assert.equal(afterSession(ended("OVERLOADED"), 0, false, () => 0).kind, "wait");
  });

  it("S22 a passing refusal is honoured as long as it says", () => {
    assert.deepEqual(
      waits([ended("OVERLOADED", { retryAfterMs: 5000 })], () => 0),
      [5000],
    );
  });

  it("S12 agents of a control plane that drains come back spread over the time that it gave", () => {
    assert.deepEqual(
      waits([ended("DRAINING", { drainMs: 10_000 })], () => 0.25),
      [2500],
    );
    assert.deepEqual(
      waits([ended("DRAINING", { drainMs: 10_000 })], () => 0.75),
      [7500],
    );
  });
});

describe("an agent whose sessions end", () => {
  let harness: AgentHarness;
  let clock: FakeClock;
  beforeEach(() => {
    harness = new AgentHarness();
    clock = new FakeClock();
  });
  afterEach(() => harness.close());

  async function agentOf(plane: FakeControlPlane) {
    return await harness.agent({ server: plane.address, clock, random: almostOne });
  }

  /** Waits until the log tells the `count`-th end, and how long the agent means to wait then. */
  async function waitMs(count: number): Promise<number> {
    const line = await eventually(
      `end ${count}`,
      () => harness.lines.filter((line) => "wait_ms" in line)[count - 1],
    );
    return Number(line["wait_ms"]);
  }

  it("S10 a mere welcome does not calm it", async () => {
    const plane = await harness.controlPlane();
    await agentOf(plane);
    const seen: number[] = [];
    for (let number = 1; number <= 4; number += 1) {
      (await plane.session(number)).fail(new FleetError("DRAINING", "not now"));
      seen.push(await waitMs(number));
      await clock.pass(seen.at(-1) ?? 0);
    }
    assert.deepEqual(seen, [200, 400, 800, 1600]);
  });

  it("S09 keeps trying while nobody listens, and gets through when somebody does", async () => {
    const plane = await harness.controlPlane();
    plane.kill();
    const agent = await agentOf(plane);
    assert.equal(await waitMs(1), 200);
    assert.equal(agent.state(), "waiting");
    const again = await harness.controlPlane({ port: plane.port });
    await clock.pass(200);
    await again.session();
  });

  it("S22 E13 an agent that is revoked says so plainly and stops hurrying", async () => {
    const plane = await harness.controlPlane();
    await agentOf(plane);
    (await plane.session()).fail(new FleetError("AGENT_REVOKED", "the agent was revoked"));
    assert.ok((await waitMs(1)) >= hourMs);
    const line = harness.lines.find((line) => line["reason"] === "AGENT_REVOKED");
    assert.equal(line?.["level"], 50);
    assert.match(String(line?.["msg"]), /What to do: .*new token/);
    await clock.pass(hourMs - 1);
    assert.equal(plane.sessions.length, 1);
  });

  it("S12 a drain is remembered: the return is spread over its time", async () => {
    const plane = await harness.controlPlane();
    await agentOf(plane);
    const session = await plane.session();
    session.send({ drain: { reason: "an update", reconnectAfter: { seconds: 20n } } });
    await eventually("the notice", () => harness.lines.find(({ reason }) => reason === "an update"));
    assert.equal(session.ended, false);
    session.fail(new FleetError("DRAINING", "gone"));
    assert.equal(await waitMs(1), 20_000);
  });
});
