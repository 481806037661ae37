import assert from "node:assert/strict";
import fc from "fast-check";
import { logTimeAt } from "../../../src/agent/engine/docker-log-time.ts";
import { momentFromRfc3339 } from "../../../src/agent/engine/rfc3339.ts";
import { nsFromSeconds } from "../../../src/domain/nanoseconds.ts";

describe("agent/engine: the times in front of a log's records", () => {
  it("O11 are the same whatever time was read before, of whatever form and zone", () => {
    const seconds = fc.constantFrom("2026-01-02T03:04:05", "2026-01-02T03:04:06", "0001-01-01T00:00:00");
    const fractions = fc.constantFrom("", ".0", ".123456789", ".000000001", ".1234", ".12345678x", ".");
    const zones = fc.constantFrom("Z", "z", "+02:00", "");
    const times = fc.tuple(seconds, fractions, zones).map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.array(times, { maxLength: 20 }), fc.nat(5), (texts, at) => {
        for (const text of texts) {
          const data = Buffer.from(`${"x".repeat(at)}${text} and what was written`);
          const moment = momentFromRfc3339(text);
          const expected = moment && { timeNs: nsFromSeconds(moment), bytes: text.length + 1 };
          assert.deepEqual(logTimeAt(data, at), expected, text);
        }
      }),
      { numRuns: 500 },
    );
  });
});
