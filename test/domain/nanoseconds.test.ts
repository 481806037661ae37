import assert from "node:assert/strict";
import { nsFromSeconds, secondsFromNs } from "../../src/domain/nanoseconds.ts";

describe("nanoseconds", () => {
  it("hold a moment to the last of them, further than a double could", () => {
    const moment = { seconds: 1_800_000_000n, nanos: 123_456_789 };
    assert.equal(nsFromSeconds(moment), 1_800_000_000_123_456_789n);
    assert.deepEqual(secondsFromNs(1_800_000_000_123_456_789n), moment);
  });

  it("are less than a second in one of the two numbers", () => {
    assert.deepEqual(secondsFromNs(999_999_999n), { seconds: 0n, nanos: 999_999_999 });
    assert.deepEqual(secondsFromNs(1_000_000_000n), { seconds: 1n, nanos: 0 });
  });
});
