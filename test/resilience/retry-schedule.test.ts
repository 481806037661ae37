import assert from "node:assert/strict";
import fc from "fast-check";
import { defaultRetrySettings, retryDelayMs } from "../../src/resilience/retry-schedule.ts";

const middle = () => 0.5;

describe("retry schedule", () => {
  it("C14 waits 1 s, then doubles, three attempts in all", () => {
    const waits = [1, 2, 3].map((attempt) => retryDelayMs(attempt, 600_000, defaultRetrySettings, middle));
    assert.deepEqual(waits, [1_000, 2_000, undefined]);
  });

  it("C14 jitter is 0.5 to 1.5, and no wait is longer than 30 s", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (attempt, drawn) => {
          const settings = { ...defaultRetrySettings, maxAttempts: 100 };
          const wait = retryDelayMs(attempt, Number.POSITIVE_INFINITY, settings, () => drawn);
          const plain = 1_000 * 2 ** (attempt - 1);
          assert.ok(wait !== undefined && wait <= 30_000);
          assert.ok(wait >= Math.min(30_000, plain * 0.5) && wait <= plain * 1.5);
        },
      ),
    );
  });

  it("C16 a policy of one attempt tries once", () => {
    assert.equal(retryDelayMs(1, 600_000, { ...defaultRetrySettings, maxAttempts: 1 }, middle), undefined);
  });

  it("C17 a wait that would pass the deadline is not begun", () => {
    assert.equal(retryDelayMs(1, 1_000, defaultRetrySettings, middle), undefined);
    assert.equal(retryDelayMs(1, 1_001, defaultRetrySettings, middle), 1_000);
  });
});
