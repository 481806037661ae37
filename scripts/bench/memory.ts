import { setTimeout as delay } from "node:timers/promises";

const settleMs = 300;

/** The resident memory of this process once nothing can be collected any more. Needs `--expose-gc`. */
export async function memoryBytes(): Promise<number> {
  if (gc === undefined) throw new Error("start Node with --expose-gc");
  for (let round = 0; round < 3; round += 1) {
    gc();
    await delay(settleMs);
  }
  return process.memoryUsage.rss();
}
