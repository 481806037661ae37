import assert from "node:assert/strict";
import fc from "fast-check";
import { CloneGuard } from "../../../src/control-plane/session/clone-guard.ts";

/** A guard and one agent whose sessions come one after the other, each throwing out the one before it if it is admitted. */
function fleetOfOne() {
  const guard = new CloneGuard();
  let incumbent: string | undefined;
  return {
    guard,
    come(newcomer: string, now: number): string {
      const verdict = guard.judge("agent", incumbent, newcomer, now);
      if (verdict.kind === "admitted") incumbent = newcomer;
      return verdict.kind === "admitted" ? "admitted" : verdict.news ? "refused, told" : "refused";
    },
    leave(): void {
      incumbent = undefined;
      guard.released("agent");
    },
  };
}

describe("the clone guard", () => {
  it("S11 two that throw each other out are seen the fourth time, and the incumbent stays", () => {
    const { come } = fleetOfOne();
    const verdicts = ["a", "b", "a", "b", "a", "a", "b"].map((instance, index) =>
      come(instance, index * 1_000),
    );
    assert.deepEqual(verdicts, [
      "admitted",
      "admitted",
      "admitted",
      "admitted",
      "refused, told",
      "refused",
      "admitted",
    ]);
  });

  it("S11 the refused one stays out for as long as the other's session lasts, and is told of once a minute", () => {
    const { come, leave } = fleetOfOne();
    for (const instance of ["a", "b", "a", "b"]) come(instance, 0);
    const verdicts = [0, 59_999, 60_000, 3_600_000, 3_600_001].map((now) => come("a", now));
    assert.deepEqual(verdicts, ["refused, told", "refused", "refused, told", "refused, told", "refused"]);
    leave();
    assert.equal(come("a", 3_600_002), "admitted");
  });

  it("S11 switches that are a minute apart are no fight", () => {
    const { come } = fleetOfOne();
    for (let index = 0; index < 20; index += 1) {
      assert.equal(come(index % 2 === 0 ? "a" : "b", index * 20_001), "admitted");
    }
  });

  it("S11 restarts, however quick and many, are never refused", () => {
    const restarts = fc.array(fc.record({ lives: fc.nat({ max: 3 }), pauseMs: fc.nat({ max: 100 }) }), {
      minLength: 10,
    });
    fc.assert(
      fc.property(restarts, (processes) => {
        const { come, guard } = fleetOfOne();
        let now = 0;
        processes.forEach(({ lives, pauseMs }, number) => {
          // Each process comes once, and again after lost connections; then the next one takes its place.
          for (let session = 0; session <= lives; session += 1) {
            now += pauseMs;
            assert.equal(come(`process-${number}`, now), "admitted");
          }
        });
        assert.ok(guard.size <= 1);
      }),
    );
  });

  it("S11 a restarted process is let in, also when its predecessors were thrown out by a clone", () => {
    const { come, leave } = fleetOfOne();
    // The clone is back each time; what it throws out, and is thrown out by, is started anew each time.
    for (const instance of ["clone", "b", "clone", "c", "clone", "d"]) come(instance, 0);
    leave();
    assert.equal(come("clone", 0), "admitted");
    assert.equal(come("e", 0), "admitted");
  });

  it("S11 what processes before them did to each other is not held against two", () => {
    const { come } = fleetOfOne();
    for (const instance of ["a", "b", "c", "d"]) come(instance, 0);
    assert.equal(come("c", 0), "admitted");
  });

  it("S11 of many agents only those whose sessions were taken over lately are remembered", () => {
    const guard = new CloneGuard();
    for (let number = 0; number < 1_000; number += 1) guard.judge(`agent-${number}`, undefined, "a", 0);
    assert.equal(guard.size, 0);
    for (let number = 0; number < 1_000; number += 1) guard.judge(`agent-${number}`, "a", "b", number);
    assert.equal(guard.size, 1_000);
    guard.judge("agent", "a", "b", 120_000);
    assert.equal(guard.size, 1);
  });
});
