import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { Merge } from "../../src/resilience/merge.ts";

async function* counting(name: string, to: number, asked: string[] = []) {
  try {
    for (let number = 1; number <= to; number += 1) {
      asked.push(`${name}${number}`);
      yield `${name}${number}`;
    }
  } finally {
    asked.push(`${name} returned`);
  }
}

describe("several sources as one", () => {
  it("reads each in its own order, and all to their ends", async () => {
    const merge = new Merge<string>();
    merge.add(counting("a", 3));
    merge.add(counting("b", 2));
    merge.seal();
    const items = await Array.fromAsync(merge.read());
    assert.deepEqual(
      items.filter((item) => item.startsWith("a")),
      ["a1", "a2", "a3"],
    );
    assert.deepEqual(items.toSorted(), ["a1", "a2", "a3", "b1", "b2"]);
    assert.equal(merge.size, 0);
  });

  it("lets no source run ahead of its reader", async () => {
    const merge = new Merge<string>();
    const asked: string[] = [];
    merge.add(counting("a", 100, asked));
    const reader = merge.read();
    await reader.next();
    for (let round = 0; round < 10; round += 1) await turn();
    assert.deepEqual(asked, ["a1", "a2"]);
    await reader.return();
    for (let round = 0; round < 10; round += 1) await turn();
    assert.equal(asked.at(-1), "a returned");
    assert.equal(merge.size, 0);
  });

  it("takes sources that come later, and one that comes too late is left at once", async () => {
    const merge = new Merge<string>();
    const reader = merge.read();
    const first = reader.next();
    merge.add(counting("late", 1));
    assert.equal((await first).value, "late1");
    await reader.return();
    merge.add(counting("too late", 5));
    for (let round = 0; round < 10; round += 1) await turn();
    assert.equal(merge.size, 0);
  });

  it("throws what a source throws, after what came before", async () => {
    const merge = new Merge<string>();
    merge.add(
      (async function* () {
        yield "before";
        throw new Error("broken");
      })(),
    );
    const reader = merge.read();
    assert.equal((await reader.next()).value, "before");
    await assert.rejects(reader.next(), /broken/);
  });
});
