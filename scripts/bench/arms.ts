import type { FleetSize } from "./fleets.ts";
import { FloorFleet, ProductFleet } from "./fleets.ts";
import type { Arm, RunSettings } from "./row.ts";
import { percentile } from "./statistics.ts";

/** An arm with clients of the floor that are connected all the time. */
export async function openFloor(
  size: FleetSize,
  measure: (fleet: FloorFleet) => Promise<readonly number[]>,
): Promise<Arm> {
  const fleet = new FloorFleet();
  return await connected(fleet, [size], () => measure(fleet));
}

/** An arm with agents that are online all the time, those of each size in a process of their own. */
export async function openProduct(
  sizes: readonly FleetSize[],
  { profileFolder }: RunSettings,
  measure: (fleet: ProductFleet) => Promise<readonly number[]>,
  nodeOptions: readonly string[] = [],
): Promise<Arm> {
  const fleet = new ProductFleet({ profileFolder, nodeOptions });
  return await connected(fleet, sizes, () => measure(fleet));
}

/** How long to warm up and to count, in milliseconds. */
export function timesOf(isQuick: boolean, countedMs: number): { warmUpMs: number; countedMs: number } {
  return isQuick ? { warmUpMs: 300, countedMs: 1_000 } : { warmUpMs: 1_000, countedMs };
}

/** The p99 in milliseconds of reads of the first agent's containers, one at a time. */
export async function tailOfReads(fleet: ProductFleet, times: ReturnType<typeof timesOf>): Promise<number> {
  const driven = await fleet.drive({ kind: "read", inFlightEach: 1, hostName: "fleet0-1", ...times });
  return percentile(driven.latenciesMs, 0.99);
}

/** With more that is to be closed before the arm's own processes. */
export function closing(arm: Arm, also: () => Promise<void>): Arm {
  return {
    measure: () => arm.measure(),
    close: async () => {
      await also();
      await arm.close();
    },
  };
}

async function connected(
  fleet: FloorFleet | ProductFleet,
  sizes: readonly FleetSize[],
  measure: () => Promise<readonly number[]>,
): Promise<Arm> {
  try {
    for (const size of sizes) await fleet.connect(size);
  } catch (error) {
    await fleet.close();
    throw error;
  }
  return { measure, close: () => fleet.close() };
}
