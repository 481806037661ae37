import assert from "node:assert/strict";
import { FailureTally } from "../../src/resilience/failure-tally.ts";
import { ManualClock } from "../control-plane/events/manual-clock.ts";

describe("failure tally", () => {
  it("S17 counts each one's failures within a minute that begins with the first", () => {
    const clock = new ManualClock();
    const tally = new FailureTally({ clock });
    assert.deepEqual([tally.count("a"), tally.endsInMs("a")], [0, 0]);
    tally.failed("a");
    clock.advance(40_000);
    assert.equal(tally.failed("a"), 2);
    tally.failed("b");
    assert.deepEqual([tally.count("a"), tally.endsInMs("a")], [2, 20_000]);
    assert.deepEqual([tally.count("b"), tally.endsInMs("b")], [1, 60_000]);
    clock.advance(20_000);
    assert.deepEqual([tally.count("a"), tally.endsInMs("a"), tally.count("b")], [0, 0, 1]);
    assert.equal(tally.failed("a"), 1);
  });

  it("takes a failure back, and never more than there were", () => {
    const tally = new FailureTally({ clock: new ManualClock() });
    tally.failed("a");
    tally.failed("a");
    tally.forgive("a");
    assert.equal(tally.count("a"), 1);
    for (const who of ["a", "a", "stranger"]) tally.forgive(who);
    assert.deepEqual([tally.count("a"), tally.failed("a")], [0, 1]);
  });

  it("S17 forgets whose minute is over, and of too many the one who began longest ago", () => {
    const clock = new ManualClock();
    const tally = new FailureTally({ clock, maxRemembered: 3 });
    for (const who of ["a", "b", "c", "b", "d"]) tally.failed(who);
    assert.deepEqual(
      ["a", "b", "c", "d"].map((who) => tally.count(who)),
      [0, 2, 1, 1],
    );
    assert.equal(tally.size, 3);
    clock.advance(60_000);
    tally.failed("e");
    assert.equal(tally.size, 1);
  });
});
