import { setTimeout as delay } from "node:timers/promises";
import { Child } from "./child.ts";
import type { ApiLoad } from "./api-callers.ts";
import type { Driven } from "./drive.ts";
import { type FleetSize, FloorFleet, ProductFleet } from "./fleets.ts";
import type { ProductLoad } from "./product-server.ts";
import { percentile } from "./statistics.ts";

/** One thing that a row measures, and what it must reach as a ratio to the floor. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly must?: number;
  readonly hope?: number;
}

/** One side of a row: how it is measured once, and how it is taken down. */
export interface Arm {
  /** A value for each figure of the row, in their order. */
  measure(): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** How much time a run has, and what it keeps. */
export interface RunSettings {
  readonly quick: boolean;
  /** Where the product's processes write their profiles. */
  readonly profileFolder: string | undefined;
}

/** A line of docs "performance", with its floor and its budget. */
export interface Row {
  /** For `--only`. */
  readonly key: string;
  readonly title: string;
  readonly floorName: string;
  readonly figures: readonly Figure[];
  openFloor(settings: RunSettings): Promise<Arm>;
  openProduct(settings: RunSettings): Promise<Arm>;
}

const grpcFloor = "bare grpc-js echo";
const connectFloor = "bare connect-node echo";

// An estimate, not a measurement, of what the product sends with the terse engine: an inspection, and the start of a container that runs.
const readBytes = { requestBytes: 140, responseBytes: 180 };
const journaledBytes = { requestBytes: 140, responseBytes: 180 };

/** All rows, in the order in which they are shown. */
export const rows: readonly Row[] = [
  throughput("reads-8x512", "reads, 8 × 512", "read", { agents: 8, inFlightEach: 512 }, { must: 1.5 }),
  throughput("reads-50x512", "reads, 50 × 512", "read", { agents: 50, inFlightEach: 512 }, {}),
  throughput(
    "reads-500x512",
    "reads, 500 × 512",
    "read",
    { agents: 500, inFlightEach: 512 },
    { must: 0.8, hope: 1 },
  ),
  latency(),
  throughput(
    "journaled-50x512",
    "journaled, 50 × 512",
    "journaled",
    { agents: 50, inFlightEach: 512 },
    { must: 0.25, hope: 0.5 },
  ),
  throughApi(),
  memory(),
];

function throughput(
  key: string,
  title: string,
  kind: ProductLoad["kind"],
  { agents, inFlightEach }: { readonly agents: number; readonly inFlightEach: number },
  budget: Pick<Figure, "must" | "hope">,
): Row {
  const bytes = kind === "read" ? readBytes : journaledBytes;
  const size = { agents, containersEach: 16, ...bytes };
  // Long enough for every call in flight to come around several times.
  const countedMs = kind === "journaled" ? 5_000 : agents >= 500 ? 4_000 : 2_000;
  const times = (quick: boolean) => timesOf(quick, countedMs);
  return {
    key,
    title,
    floorName: grpcFloor,
    figures: [
      { name: "", unit: "/s", better: "higher", ...budget },
      { name: "processor time of the server for each", unit: " µs", better: "lower" },
    ],
    openFloor: ({ quick }) =>
      openFloor(size, (floor) =>
        floor.drive({ inFlightEach, requestBytes: size.requestBytes, ...times(quick) }).then(rateAndCost),
      ),
    openProduct: ({ quick, profileFolder }) =>
      openProduct(size, profileFolder, (fleet) =>
        fleet.drive({ kind, inFlightEach, ...times(quick) }).then(rateAndCost),
      ),
  };
}

function latency(): Row {
  const size = { agents: 1, containersEach: 16, ...readBytes };
  return {
    key: "reads-one",
    title: "reads, one at a time",
    floorName: grpcFloor,
    figures: [
      { name: "p50", unit: " ms", better: "lower" },
      { name: "p99", unit: " ms", better: "lower", must: 1.5, hope: 1.2 },
    ],
    openFloor: ({ quick }) =>
      openFloor(size, (floor) =>
        floor
          .drive({ inFlightEach: 1, requestBytes: size.requestBytes, ...timesOf(quick, 3_000) })
          .then(halfAndTail),
      ),
    openProduct: ({ quick, profileFolder }) =>
      openProduct(size, profileFolder, (fleet) =>
        fleet.drive({ kind: "read", inFlightEach: 1, ...timesOf(quick, 3_000) }).then(halfAndTail),
      ),
  };
}

function throughApi(): Row {
  const size = { agents: 8, containersEach: 8, ...readBytes };
  const callersInAll = 64;
  return {
    key: "api-reads",
    title: "reads through the API, 64 callers",
    floorName: connectFloor,
    figures: [{ name: "", unit: "/s", better: "higher", must: 0.7, hope: 0.9 }],
    async openFloor({ quick }) {
      const server = new Child("./connect-floor.ts");
      const callers = new Child("./api-callers.ts");
      const load: ApiLoad = {
        server: await server.ask<string>("listen"),
        containers: [{ host: "0".repeat(36), container: "0".repeat(64) }],
        callers: callersInAll,
        ...timesOf(quick, 3_000),
      };
      return {
        measure: () => callers.ask<Driven>("drive", load).then(rate),
        close: async () => void (await Promise.all([callers.close(), server.close()])),
      };
    },
    async openProduct({ quick, profileFolder }) {
      const callers = new Child("./api-callers.ts");
      const arm = await openProduct(size, profileFolder, async (fleet) => {
        const load: ApiLoad = { ...(await fleet.api()), callers: callersInAll, ...timesOf(quick, 3_000) };
        return rate(await callers.ask<Driven>("drive", load));
      });
      return { ...arm, close: async () => void (await Promise.all([callers.close(), arm.close()])) };
    },
  };
}

// The part of the heap where new objects are made grows to more than 100 MB with how fast they are made, not with how many
// agents there are, and is not given back: of a thousand enrolments it was half of what was counted for idle agents.
const smallNursery = ["--max-semi-space-size=1"];

/** Each round has processes of its own, because memory that was used once is seldom given back. */
function memory(): Row {
  const first = { agents: 50, containersEach: 0, ...readBytes };
  const size = (quick: boolean) => ({ ...first, agents: quick ? 200 : 2_000 });
  return {
    key: "memory",
    title: "memory for each idle agent",
    floorName: "bare grpc-js stream",
    figures: [{ name: "", unit: " KB", better: "lower", must: 1.25, hope: 1.1 }],
    openFloor: async ({ quick }) => ({
      measure: () => grown(new FloorFleet(smallNursery), first, size(quick)),
      close: () => Promise.resolve(),
    }),
    openProduct: async ({ quick, profileFolder }) => ({
      measure: () => grown(new ProductFleet(profileFolder, smallNursery), first, size(quick)),
      close: () => Promise.resolve(),
    }),
  };
}

const quietMs = 500;

// The first ones bring what is there once, however many come.
async function grown(
  fleet: FloorFleet | ProductFleet,
  first: FleetSize,
  more: FleetSize,
): Promise<readonly number[]> {
  try {
    await fleet.connect(first);
    await delay(quietMs);
    const before = await fleet.memory();
    await fleet.connect(more);
    await delay(quietMs);
    return [((await fleet.memory()) - before) / more.agents / 1024];
  } finally {
    await fleet.close();
  }
}

async function openFloor(
  size: FleetSize,
  measure: (fleet: FloorFleet) => Promise<readonly number[]>,
): Promise<Arm> {
  const fleet = new FloorFleet();
  return await connected(fleet, size, () => measure(fleet));
}

async function openProduct(
  size: FleetSize,
  profileFolder: string | undefined,
  measure: (fleet: ProductFleet) => Promise<readonly number[]>,
): Promise<Arm> {
  const fleet = new ProductFleet(profileFolder);
  return await connected(fleet, size, () => measure(fleet));
}

async function connected(
  fleet: FloorFleet | ProductFleet,
  size: FleetSize,
  measure: () => Promise<readonly number[]>,
): Promise<Arm> {
  try {
    await fleet.connect(size);
  } catch (error) {
    await fleet.close();
    throw error;
  }
  return { measure, close: () => fleet.close() };
}

function timesOf(isQuick: boolean, countedMs: number): { warmUpMs: number; countedMs: number } {
  return isQuick ? { warmUpMs: 300, countedMs: 1_000 } : { warmUpMs: 1_000, countedMs };
}

function halfAndTail({ latenciesMs }: Driven): readonly number[] {
  return [percentile(latenciesMs, 0.5), percentile(latenciesMs, 0.99)];
}

function rateAndCost({ perSecond, processorMicros }: Driven): readonly number[] {
  return [perSecond, processorMicros];
}

function rate({ perSecond }: Driven): readonly number[] {
  return [perSecond];
}
