import assert from "node:assert/strict";
import fc from "fast-check";
import { RecentEvents } from "../../../src/control-plane/events/recent-events.ts";
import type { EventRecord } from "../../../src/storage/records.ts";
import { newEvent } from "../../storage/sample-records.ts";

const any = { test: () => true, limit: 100 };

function recordAt(sequence: number): EventRecord {
  return { ...newEvent(), sequence };
}

function odd({ sequence }: EventRecord): boolean {
  return sequence % 2 === 1;
}

function sequencesOf(events: readonly EventRecord[] | undefined): number[] | undefined {
  return events?.map(({ sequence }) => sequence);
}

describe("recent events", () => {
  it("L03 give all events between two sequences or say that they cannot, whatever was added", () => {
    const step = fc.record({ skipped: fc.nat({ max: 2 }), added: fc.integer({ min: 1, max: 9 }) });
    fc.assert(
      fc.property(fc.array(step), fc.integer({ min: 1, max: 8 }), (steps, limit) => {
        const recent = new RecentEvents(limit);
        const added: number[] = [];
        for (const { skipped, added: count } of steps) {
          const from = (added.at(-1) ?? 0) + skipped + 1;
          for (let sequence = from; sequence < from + count; sequence += 1) {
            recent.add(recordAt(sequence));
            added.push(sequence);
          }
        }
        const newest = added.at(-1) ?? 0;
        // What is here is the end of what was added, from the last gap on and no more than the limit.
        const held = added.filter(
          (sequence, at) => newest - sequence === added.length - 1 - at && newest - sequence < limit,
        );
        for (let after = 0; after <= newest; after += 1) {
          const wanted = Array.from({ length: newest - after }, (_, at) => after + 1 + at);
          const expected = wanted.every((sequence) => held.includes(sequence)) ? wanted : undefined;
          assert.deepEqual(sequencesOf(recent.between(after, newest, any)), expected);
        }
        assert.equal(recent.between(0, newest + 1, any), undefined);
      }),
    );
  });

  it("L03 give the first that pass, no more than asked for and none behind the end", () => {
    const recent = new RecentEvents(10);
    for (let sequence = 1; sequence <= 9; sequence += 1) recent.add(recordAt(sequence));
    assert.deepEqual(sequencesOf(recent.between(2, 8, { test: odd, limit: 2 })), [3, 5]);
    assert.deepEqual(sequencesOf(recent.between(2, 8, { test: odd, limit: 9 })), [3, 5, 7]);
  });

  it("L03 leave out what is told after something newer", () => {
    const recent = new RecentEvents(10);
    for (const sequence of [1, 3, 2]) recent.add(recordAt(sequence));
    assert.equal(recent.between(1, 3, any), undefined);
    assert.deepEqual(sequencesOf(recent.between(2, 3, any)), [3]);
  });

  it("L03 give nothing of what was forgotten, and what comes after it", () => {
    const recent = new RecentEvents(10);
    for (const sequence of [1, 2]) recent.add(recordAt(sequence));
    recent.clear();
    assert.equal(recent.between(0, 2, any), undefined);
    recent.add(recordAt(3));
    assert.equal(recent.between(1, 3, any), undefined);
    assert.deepEqual(sequencesOf(recent.between(2, 3, any)), [3]);
    recent.clear();
    recent.add(recordAt(5));
    assert.equal(recent.between(3, 5, any), undefined);
    assert.deepEqual(sequencesOf(recent.between(4, 5, any)), [5]);
  });
});
