import assert from "node:assert/strict";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Lease } from "../../../src/agent/session/lease.ts";
import { AgentHarness } from "../../support/agent-harness.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { eventually } from "../../support/fake-control-plane.ts";

describe("the lease of a session", () => {
  let clock: FakeClock;
  let beats: number[];
  let ended: Partial<Record<"reason" | "message", string>>;
  let stop: AbortController;

  function run(): Lease {
    const lease = new Lease(clock, { heartbeatMs: 10_000, leaseMs: 30_000 });
    const startedMs = clock.now();
    lease
      .run(() => beats.push(clock.now() - startedMs), stop.signal)
      .catch((error: unknown) => {
        ended = error as Error;
      });
    return lease;
  }

  beforeEach(() => {
    clock = new FakeClock();
    beats = [];
    ended = {};
    stop = new AbortController();
  });
  afterEach(() => stop.abort());

  it("S07 beats at the interval, with one timer, and ends after silence", async () => {
    run();
    await clock.pass(29_999);
    assert.deepEqual(beats, [10_000, 20_000]);
    assert.equal(clock.sleeping, 1);
    assert.deepEqual(ended, {});
    await clock.pass(1);
    assert.equal(ended.reason, "LEASE_EXPIRED");
    assert.equal(clock.sleeping, 0);
  });

  it("S07 whatever is heard renews it", async () => {
    const lease = run();
    for (let minute = 0; minute < 4; minute += 1) {
      await clock.pass(25_000);
      lease.renew();
    }
    assert.deepEqual(ended, {});
    assert.equal(beats.length, 10);
  });

  it("S07 once it ran out it is not renewed by what waited to be read meanwhile", async () => {
    const lease = new Lease(clock, { heartbeatMs: 10_000, leaseMs: 30_000 });
    await clock.pass(29_999);
    assert.equal(lease.isOver, false);
    await clock.pass(1);
    assert.throws(() => lease.renew(), { reason: "LEASE_EXPIRED" });
    lease.change({ leaseMs: 60_000 });
    assert.equal(lease.isOver, true);
  });

  it("S07 counts from when the welcome was asked for", async () => {
    const askedMs = clock.monotonic();
    await clock.pass(30_000);
    assert.equal(new Lease(clock, { heartbeatMs: 10_000, leaseMs: 30_000 }, askedMs).isOver, true);
  });

  it("takes other settings at once", async () => {
    const lease = run();
    await clock.pass(1);
    lease.change({ heartbeatMs: 1000 });
    await clock.pass(3000);
    assert.equal(beats.length, 3);
    lease.change({ leaseMs: 4000 });
    await clock.pass(1000);
    assert.equal(ended.reason, "LEASE_EXPIRED");
  });

  it("ends with its signal and leaves no timer", async () => {
    run();
    await clock.pass(1);
    stop.abort(new Error("enough"));
    await clock.pass(0);
    assert.equal(ended.message, "enough");
    assert.equal(clock.sleeping, 0);
  });
});

const short = () => ({ heartbeatInterval: durationFromMs(40), leaseDuration: durationFromMs(200) });

describe("an agent whose control plane falls silent", () => {
  let harness: AgentHarness;
  beforeEach(() => {
    harness = new AgentHarness();
  });
  afterEach(() => harness.close());

  it("S08 notices within the lease and comes back", async () => {
    const plane = await harness.controlPlane({ welcome: short });
    await harness.agent({ server: plane.address });
    await plane.session(1);
    await plane.session(2);
    const end = harness.lines.find(({ reason }) => reason === "LEASE_EXPIRED");
    assert.ok(Number(end?.["lived_ms"]) < 1000);
  });

  it("S07 stays as long as frames come, and sends heartbeats with its time", async () => {
    // A second of silence is not a busy machine's; fifteen frames of the agent take longer than that.
    const lease = { heartbeatInterval: durationFromMs(80), leaseDuration: durationFromMs(1_000) };
    const plane = await harness.controlPlane({ welcome: () => lease });
    await harness.agent({ server: plane.address });
    const session = await plane.session();
    const timer = setInterval(() => session.send({}), 50);
    try {
      await eventually("heartbeats", () => {
        const beats = session.frames.filter(({ frame }) => frame.sentTime !== undefined);
        return beats.length > 15 || undefined;
      });
    } finally {
      clearInterval(timer);
    }
    assert.equal(plane.sessions.length, 1);
  });
});
