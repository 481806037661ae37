import { setImmediate as nextTurn } from "node:timers/promises";

/** So many rows take about a millisecond, and a command may have to wait for two of those. */
export const rowsInTurn = 64;

/** Writes rows in their order, so many in each turn of the event loop, so that a large transaction holds up nobody else. */
export async function inTurns<Row>(
  rows: readonly Row[],
  write: (rows: readonly Row[]) => Promise<unknown>,
): Promise<void> {
  for (let start = 0; start < rows.length; start += rowsInTurn) {
    if (start > 0) await nextTurn();

    await write(rows.slice(start, start + rowsInTurn));
  }
}
