import assert from "node:assert/strict";
import fc from "fast-check";
import { RateLimit } from "../../src/resilience/rate-limit.ts";
import { ManualClock } from "../control-plane/events/manual-clock.ts";

describe("rate limit", () => {
  it("lets a burst through, then so many a second, and says exactly when the next one may come", () => {
    const clock = new ManualClock();
    const limit = new RateLimit({ perSecond: 10, burst: 3 }, clock);
    assert.deepEqual(
      [1, 2, 3, 4].map(() => limit.take("a")),
      [0, 0, 0, 100],
    );
    assert.equal(limit.take("b"), 0, "somebody else has a bucket of their own");
    clock.advance(99);
    assert.equal(limit.take("a"), 1);
    clock.advance(1);
    assert.deepEqual([limit.take("a"), limit.take("a")], [0, 100]);
    clock.advance(10_000);
    assert.deepEqual(
      [1, 2, 3, 4].map(() => limit.take("a")),
      [0, 0, 0, 100],
    );
  });

  it("saves up nothing beyond a full bucket", () => {
    const clock = new ManualClock();
    const limit = new RateLimit({ perSecond: 10, burst: 1 }, clock);
    limit.take("a");
    clock.advance(900);
    assert.deepEqual([limit.take("a"), limit.take("a")], [0, 100]);
  });

  it("never lets more through than burst and rate allow, whatever the times, and refuses none that they allow", () => {
    const settings = fc.record({ perSecond: fc.integer({ min: 1, max: 5_000 }), burst: fc.nat({ max: 50 }) });
    const pauses = fc.array(fc.oneof(fc.constant(0), fc.nat({ max: 300 })), { maxLength: 200 });
    fc.assert(
      fc.property(settings, pauses, ({ perSecond, burst }, waits) => {
        const clock = new ManualClock();
        const limit = new RateLimit({ perSecond, burst: burst + 1 }, clock);
        // A bucket as everybody would write it down.
        let tokens = burst + 1;
        for (const wait of waits) {
          clock.advance(wait);
          tokens = Math.min(burst + 1, tokens + (wait * perSecond) / 1_000);
          const may = limit.take("a") === 0;
          // Sums of fractions differ in their last digits.
          if (Math.abs(tokens - 1) > 1e-4) assert.equal(may, tokens >= 1);
          if (may) tokens -= 1;
        }
      }),
    );
  });

  it("remembers nobody whose bucket is full, and counts nothing without a limit", () => {
    const clock = new ManualClock();
    const limit = new RateLimit({ perSecond: 10, burst: 3 }, clock);
    for (let name = 0; name < 1_000; name += 1) limit.take(`${name}`);
    assert.equal(limit.size, 1_000);
    clock.advance(1_000);
    limit.take("late");
    assert.equal(limit.size, 1);
    const none = new RateLimit({ perSecond: 0, burst: 1 }, clock);
    for (let count = 0; count < 100; count += 1) assert.equal(none.take("a"), 0);
    assert.equal(none.size, 0);
  });
});
