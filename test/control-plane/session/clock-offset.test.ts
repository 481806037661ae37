import assert from "node:assert/strict";
import { durationMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { ClockOffset } from "../../../src/control-plane/session/clock-offset.ts";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import type { Host } from "../../../src/gen/fairlead/host/v1/host_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { eventually, type TestControlPlane, testControlPlane } from "../../support/control-plane-harness.ts";
import { recordedEvent, recordedEvents } from "../../support/recorded-events.ts";

async function onlyHost(plane: TestControlPlane): Promise<Host> {
  const [host] = (await plane.client(HostService).listHosts({})).hosts;
  assert.ok(host);
  return host;
}

describe("the offset of an agent's clock", () => {
  it("S21 is that of the quickest of the latest frames, never more than the truth", () => {
    const latencies = fc.array(fc.nat({ max: 20_000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(latencies, fc.integer({ min: -1_000_000, max: 1_000_000 }), (delays, offset) => {
        const clock = new ClockOffset();
        delays.forEach((delay, number) => {
          const sent = number * 15_000;
          clock.observe(sent + offset, sent + delay);
        });
        assert.ok(clock.ms !== undefined && clock.ms <= offset);
        assert.ok(clock.ms >= offset - Math.min(...delays.slice(-8)));
      }),
    );
  });

  it("S21 follows a clock that is set, in either direction", () => {
    const clock = new ClockOffset();
    assert.equal(clock.ms, undefined);
    for (let frame = 0; frame < 100; frame += 1) clock.observe(60_000, 10);
    assert.equal(clock.ms, 59_990);
    for (let frame = 0; frame < 16; frame += 1) clock.observe(0, 10);
    assert.equal(clock.ms, -10);
    clock.observe(60_000, 10);
    assert.equal(clock.ms, 59_990);
  });

  it("S21 a host whose clock is off is shown as such, an event says it once, and nothing breaks", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    for (let frame = 0; frame < 3; frame += 1) {
      agent.send({ sentTime: timestampFromMs(Date.now() + 3_600_000) });
    }
    const told = await recordedEvent(plane, EventType.CLOCK_OFF);
    assert.ok(Math.abs(Number(told.attributes["offset_ms"]) - 3_600_000) < 5_000);
    const { clockOffset, online } = await onlyHost(plane);
    assert.ok(online && clockOffset !== undefined);
    assert.ok(Math.abs(durationMs(clockOffset) - 3_600_000) < 5_000);
    assert.equal((await recordedEvents(plane, EventType.CLOCK_OFF)).length, 1);
  });

  it("S21 a clock that is hardly more than 5 s off is off", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    // The way of a frame makes a clock seem to be less ahead than it is.
    agent.send({ sentTime: timestampFromMs(Date.now() + 5_900) });
    await recordedEvent(plane, EventType.CLOCK_OFF);
  });

  it("S21 a clock that is right raises no event, and an impossible time is refused without harm", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    assert.equal((await onlyHost(plane)).clockOffset, undefined);
    agent.send({ sentTime: timestampFromMs(Date.now()) });
    agent.send({ sentTime: timestampFromMs(Date.now() + 4_900) });
    agent.send({ sentTime: { seconds: 2n ** 62n, nanos: 0 } });
    const refused = await recordedEvent(plane, EventType.ITEM_REFUSED);
    assert.equal(refused.attributes["item"], "sent_time");
    const { clockOffset, online } = await onlyHost(plane);
    assert.ok(online && clockOffset !== undefined && Math.abs(durationMs(clockOffset)) < 5_000);
    assert.deepEqual(await recordedEvents(plane, EventType.CLOCK_OFF), []);
  });

  it("S21 a host was last seen when its agent last said something, not when its session began", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const begun = await onlyHost(plane);
    await new Promise((resolve) => setTimeout(resolve, 50));
    agent.send({});
    await eventually(async () => {
      const { lastSeenTime, connectTime } = await onlyHost(plane);
      assert.ok(lastSeenTime && connectTime && begun.connectTime);
      assert.equal(timestampMs(connectTime), timestampMs(begun.connectTime));
      return timestampMs(lastSeenTime) - timestampMs(connectTime) >= 45;
    }, "the frame counts as seen");
    const seen = await onlyHost(plane);
    await new Promise((resolve) => setTimeout(resolve, 20));
    // What nobody heard of changes nothing, also not by being asked.
    assert.ok(seen.lastSeenTime);
    const later = timestampMs((await onlyHost(plane)).lastSeenTime ?? seen.lastSeenTime);
    assert.ok(Math.abs(later - timestampMs(seen.lastSeenTime)) <= 1);
  });
});
