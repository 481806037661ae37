import assert from "node:assert/strict";
import fc from "fast-check";
import { FairGate } from "../../src/resilience/fair-gate.ts";
import { neverAborted } from "../../src/resilience/signals.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("fair gate", () => {
  it("S17 lets so many of one group in, and the next when one has left", async () => {
    const gate = new FairGate({ total: 10, each: 2 });
    const leave = await gate.enter("a", neverAborted);
    await gate.enter("a", neverAborted);
    let third = false;
    void gate.enter("a", neverAborted).then(() => (third = true));
    await turn();
    assert.equal(third, false);
    leave();
    leave();
    await turn();
    assert.deepEqual([third, gate.inside], [true, 2]);
  });

  it("S17 while one group fills its share and queues thousands, another gets in at once", async () => {
    const gate = new FairGate({ total: 4, each: 2 });
    for (let count = 0; count < 2_000; count += 1) void gate.enter("crowd", neverAborted);
    await gate.enter("quiet", neverAborted);
    assert.equal(gate.inside, 3);
  });

  it("S17 all that becomes free is taken, also by several of one group", async () => {
    const gate = new FairGate({ total: 2, each: 2 });
    const leaves = [await gate.enter("first", neverAborted), await gate.enter("first", neverAborted)];
    for (let count = 0; count < 2; count += 1) void gate.enter("next", neverAborted);
    for (const leave of leaves) leave();
    await turn();
    assert.equal(gate.inside, 2);
  });

  it("S17 groups take turns at what becomes free", async () => {
    const gate = new FairGate({ total: 1, each: 1 });
    const order: string[] = [];
    const leave = await gate.enter("first", neverAborted);
    const visits = ["a", "a", "a", "b", "c"].map(async (name) => {
      const done = await gate.enter(name, neverAborted);
      order.push(name);
      await turn();
      done();
    });
    leave();
    await Promise.all(visits);
    assert.deepEqual(order, ["a", "b", "c", "a", "a"]);
  });

  it("S17 whatever enters, leaves and gives up, the limits hold, nobody is forgotten, and nothing stays behind", async () => {
    const visit = fc.record({
      group: fc.constantFrom("a", "b", "c"),
      stays: fc.nat({ max: 4 }),
      givesUpAfter: fc.option(fc.nat({ max: 3 })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(visit, { maxLength: 40 }), async (visits) => {
        const gate = new FairGate({ total: 3, each: 2 });
        const inside = new Map<string, number>();
        const all = visits.map(async ({ group, stays, givesUpAfter }) => {
          const controller = new AbortController();
          const entering = gate.enter(group, controller.signal);
          const givingUp = (async () => {
            for (let turns = 0; turns < (givesUpAfter ?? 0); turns += 1) await turn();
            if (givesUpAfter !== null) controller.abort(new Error("gave up"));
          })();
          const leave = await entering.catch(() => undefined);
          if (leave === undefined) return givingUp;
          inside.set(group, (inside.get(group) ?? 0) + 1);
          assert.ok((inside.get(group) ?? 0) <= 2 && gate.inside <= 3);
          for (let turns = 0; turns < stays; turns += 1) await turn();
          inside.set(group, (inside.get(group) ?? 0) - 1);
          leave();
          return givingUp;
        });
        await Promise.all(all);
        assert.deepEqual([gate.inside, gate.groups], [0, 0]);
      }),
    );
  });
});
