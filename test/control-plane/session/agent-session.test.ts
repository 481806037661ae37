import assert from "node:assert/strict";
import { type SinonFakeTimers, useFakeTimers } from "sinon";
import { acknowledgementItem } from "../../../src/control-plane/session/control-items.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { TimerWheel } from "../../../src/resilience/timer-wheel.ts";
import { sessionOf } from "./session-parts.ts";

const settings = { heartbeatIntervalMs: 1_000, leaseMs: 3_000 };

describe("AgentSession", () => {
  let time: SinonFakeTimers;
  beforeEach(() => {
    time = useFakeTimers();
  });
  afterEach(() => time.restore());

  it("S07 ends with LEASE_EXPIRED when the agent was silent for longer than the lease, and not before", async () => {
    const { session, call } = sessionOf("a", 1, { settings });
    time.tick(2_999);
    assert.equal(session.over, false);
    time.tick(21);
    assert.equal((await session.ended).reason, "LEASE_EXPIRED");
    assert.deepEqual(
      call.errors.map(({ code }) => code),
      [4],
    );
  });

  it("S07 lives as long as something comes within the lease", () => {
    const { session } = sessionOf("a", 1, { settings });
    for (let beat = 0; beat < 50; beat += 1) {
      time.tick(2_970);
      assert.equal(session.over, false);
      session.renew();
    }
    time.tick(3_020);
    assert.equal(session.over, true);
  });

  it("S07 does not count silence while the agent is not listened to, and begins anew afterwards", () => {
    const { session } = sessionOf("a", 1, { settings });
    time.tick(2_000);
    session.holdLease(true);
    time.tick(60_000);
    assert.equal(session.over, false);
    session.holdLease(false);
    time.tick(2_900);
    assert.equal(session.over, false);
    time.tick(3_120);
    assert.equal(session.over, true);
  });

  it("S07 sends an empty frame with the time in each interval in which it sent nothing else", () => {
    const { session, call } = sessionOf("a", 1, { settings });
    for (let second = 0; second < 10; second += 1) {
      time.tick(1_000);
      session.renew();
    }
    assert.ok(call.frames.length >= 9 && call.frames.length <= 11, `${call.frames.length} heartbeats`);
    for (const frame of call.frames) assert.ok(frame.sentTime);
  });

  it("S07 spreads heartbeats by 10 % either way", () => {
    const beats = [0, 0.5, 1].map((random) => {
      const { session, call } = sessionOf("a", 1, {
        settings: { ...settings, leaseMs: 3_600_000 },
        random: () => random,
      });
      time.tick(99_000);
      session.end(new FleetError("SESSION_LOST", "enough"));
      return call.frames.length;
    });
    assert.deepEqual(
      beats.map((count) => Math.round(99_000 / count / 100)),
      [9, 10, 11],
    );
  });

  it("S07 is silent while frames of other kinds are sent often enough", () => {
    const { session, call } = sessionOf("a", 1, { settings: { ...settings, leaseMs: 3_600_000 } });
    for (let item = 0; item < 40; item += 1) {
      session.send(acknowledgementItem(`${item}`));
      time.tick(250);
    }
    assert.equal(call.frames.filter(({ sentTime }) => sentTime !== undefined).length, 0);
    assert.equal(call.frames.length, 40);
  });

  it("ends once, for the first reason, and from then on sends nothing and keeps no timer", async () => {
    const wheel = new TimerWheel();
    const { session, call } = sessionOf("a", 1, { settings, wheel });
    assert.equal(wheel.size, 2);
    session.send(acknowledgementItem("never sent"));
    session.end(new FleetError("AGENT_REVOKED", "first"));
    session.end(new FleetError("DRAINING", "second"));
    assert.equal((await session.ended).message, "first");
    assert.equal(session.send(acknowledgementItem("late")), false);
    time.tick(10_000);
    assert.equal(wheel.size, 0);
    assert.equal(call.frames.length, 0);
    assert.deepEqual(
      call.errors.map(({ code, message }) => [code, message]),
      [[7, "first"]],
    );
    assert.equal(time.countTimers(), 0);
  });

  it("keeps no timer when its lease and its heartbeat are due in one and the same turn", () => {
    const wheel = new TimerWheel();
    const { session } = sessionOf("a", 1, {
      settings: { heartbeatIntervalMs: 3_000, leaseMs: 3_000 },
      wheel,
    });
    time.tick(60_000);
    assert.equal(session.over, true);
    assert.equal(wheel.size, 0);
  });

  it("S20 refuses what a slow agent has no room for", () => {
    const item = acknowledgementItem("x".repeat(100));
    const { session, call } = sessionOf("a", 1, {
      settings: { ...settings, maxQueuedBytes: item.byteLength * 2 },
    });
    call.writable = false;
    assert.ok(session.send(item));
    time.tick(1);
    assert.ok(session.send(item));
    assert.ok(session.send(item));
    assert.equal(session.send(item), false);
    call.writable = true;
    call.emit("drain");
    assert.equal(call.frames.flatMap(({ acknowledgedCommandIds }) => acknowledgedCommandIds).length, 3);
    session.end(new FleetError("SESSION_LOST", "enough"));
  });
});
