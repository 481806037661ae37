import assert from "node:assert/strict";
import fc from "fast-check";
import type { LogRecord } from "../../../../src/agent/engine/engine-streams.ts";
import { type LogPosition, placed } from "../../../../src/agent/execution/logs/log-positions.ts";

const record = (timeNs: number, text = "x"): LogRecord => ({
  stream: "stdout",
  timeNs: BigInt(timeNs),
  data: Buffer.from(text),
});

// As many at once as an engine likes.
async function* from(records: readonly LogRecord[], together = 1) {
  for (let at = 0; at < records.length; at += together) yield records.slice(at, at + together);
}

async function placesOf(log: AsyncIterable<readonly LogRecord[]>, after?: LogPosition) {
  return (await Array.fromAsync(placed(log, after))).flat();
}

describe("places in a log", () => {
  it("D06 counts the records of one time", async () => {
    const found = await placesOf(from([record(1), record(2), record(2), record(3)], 3));
    assert.deepEqual(
      found.map((one) => one.kind === "record" && [Number(one.record.timeNs), one.sequence]),
      [
        [1, 1],
        [2, 1],
        [2, 2],
        [3, 1],
      ],
    );
  });

  it("D06 counts the records of a time also when thousands of other times came in between", async () => {
    const times = Array.from({ length: 2_048 }, (_, index) => index + 1);
    const found = await placesOf(
      from(
        [...times, 2].map((time) => record(time)),
        100,
      ),
    );
    const last = found.at(-1);
    assert.equal(last?.kind === "record" && last.sequence, 2);
  });

  it("D06 a reader that goes on from any place of any log misses nothing and sees nothing twice, in whatever order its times are", async () => {
    const times = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(times, fc.nat(), fc.integer({ min: 1, max: 4 }), async (unsorted, seed, together) => {
        const log = unsorted.map((time, index) => record(time, `${index}`));
        const all = await placesOf(from(log));
        const cut = seed % all.length;
        const last = all[cut];
        assert.ok(last?.kind === "record");
        const place = { timeNs: last.record.timeNs, sequence: last.sequence };
        const resumed = await placesOf(from(log, together), place);
        assert.deepEqual(resumed, all.slice(cut + 1));
      }),
    );
  });

  it("D06 a log that has lost the place is told from there on without waiting for its end", async () => {
    const second = 1_000_000_000;
    const endless = (async function* () {
      yield [record(second + 1)];
      yield [record(3 * second), record(2 * second)];
      await new Promise(() => undefined);
    })();
    const reader = placed(endless, { timeNs: BigInt(second), sequence: 1 });
    const { value: told } = await reader.next();
    assert.deepEqual(
      told?.map((one) => (one.kind === "gap" ? one.kind : Number(one.record.timeNs))),
      ["gap", second + 1, 3 * second, 2 * second],
    );
  });

  it("D06 a log that says very much within a moment has lost the place as well, and is not held back", async () => {
    const endless = (async function* () {
      for (let at = 2; at < 7; at += 1) yield [record(at, "x".repeat(1024 * 1024))];
      await new Promise(() => undefined);
    })();
    const { value: told } = await placed(endless, { timeNs: 1n, sequence: 1 }).next();
    assert.deepEqual(
      told?.map(({ kind }) => kind),
      ["gap", "record", "record", "record", "record", "record"],
    );
  });

  it("D06 says that records are missing when the place itself is no longer there", async () => {
    const after = { timeNs: 5n, sequence: 2 };
    const rotated = await placesOf(from([record(8), record(9)]), after);
    assert.deepEqual(rotated[0], { kind: "gap", afterNs: 5n, beforeNs: 8n });
    assert.equal(rotated.length, 3);
    const half = await placesOf(from([record(5), record(9)]), after);
    assert.deepEqual(half[0], { kind: "gap", afterNs: 5n, beforeNs: 9n });
    assert.deepEqual(await placesOf(from([]), after), [{ kind: "gap", afterNs: 5n, beforeNs: undefined }]);
  });
});
