import assert from "node:assert/strict";
import { useFakeTimers } from "sinon";
import { EventSlices } from "../../../src/control-plane/events/event-slices.ts";
import type { NewEvent } from "../../../src/storage/records.ts";
import { newEvent } from "../../storage/sample-records.ts";

const tick = () => new Promise((resolve) => setImmediate(resolve));

function named(from: number, count: number): NewEvent[] {
  return Array.from({ length: count }, (_, at) => newEvent({ containerName: `${from + at}` }));
}

/** A storage that is asked to store events, and does so when the test says. */
class Disk {
  /** The names of the events of each transaction, in its portions. */
  readonly transactions: string[][][] = [];
  #current: { readonly portions: string[][]; readonly written: PromiseWithResolvers<void> } | undefined;

  readonly commit = (events: readonly NewEvent[]): Promise<void> => {
    if (this.#current === undefined) {
      this.#current = { portions: [], written: Promise.withResolvers<void>() };
      this.transactions.push(this.#current.portions);
    }
    this.#current.portions.push(events.map(({ containerName }) => containerName));
    const isOdd = events.some(({ containerName }) => containerName === "odd");
    return this.#current.written.promise.then(() => (isOdd ? Promise.reject(new Error("odd")) : undefined));
  };

  /** Ends the transaction under way. */
  async write(): Promise<void> {
    this.#current?.written.resolve();
    this.#current = undefined;
    await tick();
  }

  get names(): string[] {
    return this.transactions.flat(2);
  }
}

const never = { events: Number.POSITIVE_INFINITY, gatherMs: 0 };

describe("slices of events", () => {
  let disk: Disk;
  beforeEach(() => (disk = new Disk()));

  it("C35 few events of many callers wait for each other and are one transaction", async () => {
    const slices = new EventSlices({ commit: disk.commit, maxEvents: 100, gatherMs: 5, storm: never });
    const added = Array.from({ length: 10 }, (_, at) => slices.add(named(at, 1)));
    await tick();
    assert.equal(disk.transactions.length, 0, "they wait for more");
    while (disk.transactions.length === 0) await tick();
    await disk.write();
    await Promise.all(added);
    assert.deepEqual(disk.transactions, [Array.from({ length: 10 }, (_, at) => [`${at}`])]);
  });

  it("C35 many are stored in their order, so many at once, and the next when those are stored", async () => {
    const slices = new EventSlices({ commit: disk.commit, maxEvents: 4, gatherMs: 60_000, storm: never });
    let ended = 0;
    const added = [named(0, 3), named(3, 2), named(5, 8)].map((events) =>
      slices.add(events).then(() => (ended += 1)),
    );
    const counts = [];
    for (let wait = 0; wait < 4; wait += 1) {
      counts.push([disk.names.length, ended]);
      await disk.write();
    }
    assert.deepEqual(counts, [
      [3, 0],
      [5, 1],
      [9, 2],
      [13, 2],
    ]);
    await Promise.all(added);
    assert.deepEqual(
      disk.names,
      named(0, 13).map(({ containerName }) => containerName),
    );
  });

  it("C35 few that come while others are stored wait for more as well", async () => {
    const timers = useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const slices = new EventSlices({ commit: disk.commit, maxEvents: 4, gatherMs: 20, storm: never });
      const added = [slices.add(named(0, 4)), slices.add(named(4, 1))];
      await disk.write();
      added.push(slices.add(named(5, 1)));
      timers.tick(19);
      assert.equal(disk.transactions.length, 1);
      timers.tick(1);
      assert.deepEqual(disk.transactions.slice(1), [[["4"], ["5"]]]);
      await disk.write();
      await Promise.all(added);
    } finally {
      timers.restore();
    }
  });

  it("C35 in a storm those that come next wait longer, until few come again", async () => {
    const timers = useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const storm = { events: 3, gatherMs: 150 };
      const slices = new EventSlices({ commit: disk.commit, maxEvents: 10, gatherMs: 20, storm });
      const added: Promise<void>[] = [];
      for (const [count, gatherMs] of [
        [3, 20],
        [2, 150],
        [1, 20],
      ] as const) {
        const before = disk.transactions.length;
        added.push(slices.add(named(0, count)));
        timers.tick(gatherMs - 1);
        assert.equal(disk.transactions.length, before, `${count} wait ${gatherMs} ms`);
        timers.tick(1);
        assert.equal(disk.transactions.length, before + 1, `${count} wait no more than ${gatherMs} ms`);
        await disk.write();
      }
      await Promise.all(added);
    } finally {
      timers.restore();
    }
  });

  it("C35 what cannot be stored fails for whoever brought it, and for nobody else", async () => {
    const slices = new EventSlices({ commit: disk.commit, maxEvents: 3, gatherMs: 60_000, storm: never });
    const odd = slices.add([newEvent({ containerName: "odd" })]);
    const good = slices.add(named(0, 2));
    const later = slices.add(named(2, 3));
    await Promise.all([disk.write(), assert.rejects(odd, /odd/), good]);
    await disk.write();
    await later;
  });

  it("C35 closing hands on at once what waits and what comes later, and leaves no timer", async () => {
    const timers = useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const slices = new EventSlices({ commit: disk.commit, maxEvents: 4, gatherMs: 60_000, storm: never });
      const added = [slices.add(named(0, 5)), slices.add(named(5, 2))];
      assert.deepEqual([disk.names.length, timers.countTimers()], [4, 1]);
      slices.close();
      assert.deepEqual([disk.names.length, timers.countTimers()], [7, 0]);
      added.push(slices.add(named(7, 1)));
      assert.deepEqual([disk.names.length, timers.countTimers()], [8, 0]);
      await disk.write();
      await Promise.all(added);
    } finally {
      timers.restore();
    }
  });
});
