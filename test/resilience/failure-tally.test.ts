import assert from "node:assert/strict";
import { useFakeTimers } from "sinon";
import { systemClock } from "../../src/resilience/clock.ts";
import { FailureTally } from "../../src/resilience/failure-tally.ts";
import { TimerWheel } from "../../src/resilience/timer-wheel.ts";

const settings = { free: 20, stepMs: 250, maxMs: 10_000 };

describe("failure tally", () => {
  it("S17 20 failures in a minute cost nothing, each further one costs more, up to a limit", () => {
    const tally = new FailureTally({
      settings,
      clock: systemClock,
      wheel: { schedule: () => ({ cancel: () => undefined }) },
    });
    const delayAfter = (failures: number) => {
      for (let count = 0; count < failures; count += 1) tally.failed("a");
      return tally.delayMs("a");
    };
    assert.deepEqual([delayAfter(20), delayAfter(1), delayAfter(1), delayAfter(500)], [0, 250, 500, 10_000]);
    assert.equal(tally.delayMs("b"), 0);
  });

  it("S17 failures are forgotten after a minute, and so is who failed", () => {
    const timers = useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance", "Date"] });
    try {
      const wheel = new TimerWheel();
      const tally = new FailureTally({ settings, clock: systemClock, wheel });
      for (let count = 0; count < 30; count += 1) tally.failed("a");
      timers.tick(59_000);
      assert.ok(tally.delayMs("a") > 0);
      timers.tick(62_000);
      assert.deepEqual([tally.delayMs("a"), tally.size, wheel.size], [0, 0, 0]);
    } finally {
      timers.restore();
    }
  });
});
