import assert from "node:assert/strict";
import fc from "fast-check";
import { type SinonFakeTimers, useFakeTimers } from "sinon";
import { TimerWheel } from "../../src/resilience/timer-wheel.ts";

const slotMs = 20;

describe("TimerWheel", () => {
  let time: SinonFakeTimers;
  beforeEach(() => {
    time = useFakeTimers();
  });
  afterEach(() => time.restore());

  it("calls back never early and at most one slot late, whatever the delays and whenever they were asked for", () => {
    const delays = fc.array(
      fc.record({
        wait: fc.double({ min: 0, max: 70, noNaN: true }),
        delay: fc.double({ min: 0, max: 900, noNaN: true }),
      }),
      { minLength: 1, maxLength: 30 },
    );
    fc.assert(
      fc.property(delays, (timers) => {
        // Eight slots, so that most of these are many rounds away.
        const wheel = new TimerWheel(slotMs, 8);
        const lateness: number[] = [];
        for (const { wait, delay } of timers) {
          time.tick(Math.floor(wait));
          const due = performance.now() + delay;
          wheel.schedule(delay, () => lateness.push(performance.now() - due));
        }
        time.tick(1_000);
        assert.equal(lateness.length, timers.length);
        assert.ok(Math.min(...lateness) >= 0, `early by ${-Math.min(...lateness)} ms`);
        assert.ok(Math.max(...lateness) <= slotMs, `late by ${Math.max(...lateness)} ms`);
        assert.equal(wheel.size, 0);
      }),
      { numRuns: 200 },
    );
  });

  it("calls each back once", () => {
    const wheel = new TimerWheel(slotMs);
    let calls = 0;
    wheel.schedule(30, () => (calls += 1));
    time.tick(10_000);
    assert.equal(calls, 1);
  });

  it("does not call back what was taken back, and counts what is pending", () => {
    const wheel = new TimerWheel(slotMs);
    const called: string[] = [];
    const first = wheel.schedule(50, () => called.push("first"));
    wheel.schedule(50, () => called.push("second"));
    assert.equal(wheel.size, 2);
    first.cancel();
    first.cancel();
    assert.equal(wheel.size, 1);
    time.tick(100);
    assert.deepEqual(called, ["second"]);
    first.cancel();
    assert.equal(wheel.size, 0);
  });

  it("does not call back what another timer of the same turn takes back", () => {
    const wheel = new TimerWheel(slotMs);
    const called: string[] = [];
    wheel.schedule(50, () => {
      called.push("first");
      second.cancel();
    });
    const second = wheel.schedule(50, () => called.push("second"));
    time.tick(100);
    assert.deepEqual(called, ["first"]);
    assert.equal(wheel.size, 0);
    assert.equal(time.countTimers(), 0);
  });

  it("lets a callback take itself back and ask for the next", () => {
    const wheel = new TimerWheel(slotMs);
    const times: number[] = [];
    const again = () => {
      timer.cancel();
      times.push(performance.now());
      if (times.length < 3) timer = wheel.schedule(40, again);
    };
    let timer = wheel.schedule(40, again);
    time.tick(1_000);
    assert.equal(times.length, 3);
    assert.equal(wheel.size, 0);
  });

  it("keeps no real timer while nothing is pending, and starts one again when it is asked", () => {
    const wheel = new TimerWheel(slotMs);
    assert.equal(time.countTimers(), 0);
    const timer = wheel.schedule(1_000, () => undefined);
    assert.equal(time.countTimers(), 1);
    timer.cancel();
    assert.equal(time.countTimers(), 0);
    let called = 0;
    time.tick(12_345);
    wheel.schedule(30, () => (called += 1));
    time.tick(29);
    assert.equal(called, 0);
    time.tick(40);
    assert.equal(called, 1);
    assert.equal(time.countTimers(), 0);
  });

  it("makes up for the slots that a busy event loop missed, also for more than one round", () => {
    const wheel = new TimerWheel(slotMs, 8);
    const called: number[] = [];
    for (const delay of [10, 90, 170, 500, 5_000]) wheel.schedule(delay, () => called.push(delay));
    time.jump(1_000);
    assert.deepEqual(
      called.toSorted((one, other) => one - other),
      [10, 90, 170, 500],
    );
    time.tick(3_999);
    assert.equal(called.length, 4);
    time.tick(1 + slotMs);
    assert.equal(called.at(-1), 5_000);
  });
});
