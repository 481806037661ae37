import assert from "node:assert/strict";
import fc from "fast-check";
import { FairShare } from "../../src/resilience/fair-share.ts";

/** How many places a name gets that takes all it can. */
function greedy(share: FairShare, name?: string): number {
  let held = 0;
  while (share.enter(name) !== undefined) held += 1;
  return held;
}

describe("fair share", () => {
  it("gives one name half of the places, the next half of what is left, and leaves room for one who has none", () => {
    const share = new FairShare(100);
    assert.deepEqual([greedy(share, "a"), greedy(share, "b"), greedy(share, "c")], [50, 25, 13]);
    assert.notEqual(share.enter("newcomer"), undefined);
  });

  it("gives all of them to those without a name", () => {
    assert.equal(greedy(new FairShare(100)), 100);
  });

  it("takes a place back once, and remembers nobody who holds none", () => {
    const share = new FairShare(10);
    const leave = share.enter("a") ?? assert.fail();
    share.enter("b");
    leave();
    leave();
    assert.deepEqual([share.taken, share.names], [1, 1]);
  });

  it("never gives out more places than there are, whatever comes and goes", () => {
    const moves = fc.array(
      fc.record({ name: fc.constantFrom("a", "b", "c", undefined), out: fc.boolean() }),
      {
        maxLength: 300,
      },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), moves, (places, steps) => {
        const share = new FairShare(places);
        const inside: (() => void)[] = [];
        for (const { name, out } of steps) {
          const leave = out ? undefined : share.enter(name);
          if (leave !== undefined) inside.push(leave);
          if (out) inside.shift()?.();
          assert.equal(share.taken, inside.length);
          assert.ok(inside.length <= places);
        }
        for (const leave of inside) leave();
        assert.deepEqual([share.taken, share.names], [0, 0]);
      }),
    );
  });
});
