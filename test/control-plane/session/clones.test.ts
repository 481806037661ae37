import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { type TestControlPlane, testControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb, rejection } from "../../support/dispatching.ts";
import type { RawAgent } from "../../support/raw-agent.ts";
import { recordedEvent, recordedEvents } from "../../support/recorded-events.ts";

const one = randomBytes(16);
const other = randomBytes(16);

/** Two processes with one identity, which have thrown each other out until the second one holds the session. */
async function afterAFight(plane: TestControlPlane): Promise<RawAgent> {
  let last = await plane.enrolled();
  for (const instanceId of [one, other, one, other]) last = await plane.returned(last, { instanceId });
  return last;
}

describe("clones", () => {
  it("S11 the newcomer is refused with a delay, the incumbent goes on with its epoch, and an event says so", async () => {
    await using plane = await testControlPlane();
    const incumbent = await afterAFight(plane);
    const epoch = incumbent.welcome?.sessionEpoch;
    const newcomer = plane.stream(incumbent.identity);
    const error = await rejection(newcomer.reconnect({ instanceId: one }), "IDENTITY_IN_USE");
    assert.equal((await newcomer.status).code, 9);
    assert.equal(error.retryAfterMs, 60_000);
    const told = await recordedEvent(plane, EventType.IDENTITY_IN_USE);
    assert.equal(told.attributes["instance_id"], one.toString("hex"));
    assert.equal(told.attributes["session_epoch"], `${epoch}`);
    const session = plane.controlPlane.sessions.current(incumbent.identity.agentId);
    assert.deepEqual([session?.identity.epoch, session?.over], [epoch, false]);
    const read = dispatchTo(plane, incumbent, inspectWeb);
    const command = await incumbent.command();
    assert.equal(command.sessionEpoch, epoch);
    incumbent.succeed(command);
    await read;
  });

  it("S11 the refused one takes over once the incumbent has gone", async () => {
    await using plane = await testControlPlane();
    const incumbent = await afterAFight(plane);
    const { identity } = incumbent;
    await rejection(plane.stream(identity).reconnect({ instanceId: one }), "IDENTITY_IN_USE");
    await rejection(plane.stream(identity).reconnect({ instanceId: one }), "IDENTITY_IN_USE");
    assert.equal((await recordedEvents(plane, EventType.IDENTITY_IN_USE)).length, 1);
    incumbent.close();
    await recordedEvent(plane, EventType.HOST_OFFLINE);
    const welcome = await plane.stream(identity).reconnect({ instanceId: one });
    assert.equal(welcome.sessionEpoch, (incumbent.welcome?.sessionEpoch ?? 0) + 1);
  });

  it("S11 what was is not held against the refused one once the incumbent has gone, also when that one is back first", async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
    await using plane = await testControlPlane({ clock, session: { leaseMs: 600_000 } });
    const incumbent = await afterAFight(plane);
    const { identity } = incumbent;
    await rejection(plane.stream(identity).reconnect({ instanceId: one }), "IDENTITY_IN_USE");
    incumbent.close();
    await recordedEvent(plane, EventType.HOST_OFFLINE);
    const back = await plane.stream(identity).reconnect({ instanceId: other });
    aheadMs = 61_000;
    const welcome = await plane.stream(identity).reconnect({ instanceId: one });
    assert.equal(welcome.sessionEpoch, back.sessionEpoch + 1);
  });

  it("S11 ten restarts in a row, each before the session of the last one was seen to end, are all welcome", async () => {
    await using plane = await testControlPlane();
    let last = await plane.enrolled();
    for (let restart = 0; restart < 10; restart += 1) last = await plane.returned(last);
    assert.equal(last.welcome?.sessionEpoch, 11);
    assert.deepEqual(await recordedEvents(plane, EventType.IDENTITY_IN_USE), []);
  });
});
