import assert from "node:assert/strict";
import { inTurns, rowsInTurn } from "../../src/storage/in-turns.ts";

describe("inTurns", () => {
  it("S20 writes all rows in their order, and lets the event loop go round after so many", async () => {
    const rows = Array.from({ length: 2 * rowsInTurn + 1 }, (_, number) => number);
    const written: number[] = [];
    const writtenAtTurns: number[] = [];
    const turn = (): void => {
      writtenAtTurns.push(written.length);
      if (written.length < rows.length) setImmediate(turn);
    };
    setImmediate(turn);
    await inTurns(rows, async (some) => void written.push(...some));
    assert.deepEqual(written, rows);
    assert.deepEqual(writtenAtTurns, [rowsInTurn, 2 * rowsInTurn]);
  });

  it("writes few rows at once, and nothing where there is nothing", async () => {
    const calls: number[] = [];
    await inTurns([1, 2], async (rows) => void calls.push(rows.length));
    await inTurns([], async () => void calls.push(0));
    assert.deepEqual(calls, [2]);
  });
});
