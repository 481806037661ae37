import { setTimeout as delay } from "node:timers/promises";
import { Child } from "./child.ts";
import type { ApiLoad } from "./api-callers.ts";
import type { Driven } from "./drive.ts";
import { closing, openFloor, openProduct, timesOf } from "./arms.ts";
import { type FleetSize, FloorFleet, ProductFleet, smallNursery } from "./fleets.ts";
import type { ProductLoad } from "./product-server.ts";
import type { Figure, Row } from "./row.ts";
import { stormRows } from "./storm-rows.ts";
import { streamRows } from "./stream-rows.ts";
import { percentile } from "./statistics.ts";

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
  ...streamRows,
  ...stormRows,
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
    figures: [
      { name: "", unit: "/s", better: "higher", ...budget },
      { name: "processor time of the server for each", unit: " µs", better: "lower" },
    ],
    floor: {
      name: grpcFloor,
      open: ({ quick }) =>
        openFloor(size, (floor) =>
          floor.drive({ inFlightEach, requestBytes: size.requestBytes, ...times(quick) }).then(rateAndCost),
        ),
    },
    openProduct: (settings) =>
      openProduct([size], settings, (fleet) =>
        fleet.drive({ kind, inFlightEach, ...times(settings.quick) }).then(rateAndCost),
      ),
  };
}

function latency(): Row {
  const size = { agents: 1, containersEach: 16, ...readBytes };
  return {
    key: "reads-one",
    title: "reads, one at a time",
    figures: [
      { name: "p50", unit: " ms", better: "lower" },
      { name: "p99", unit: " ms", better: "lower", must: 1.5, hope: 1.2 },
    ],
    floor: {
      name: grpcFloor,
      open: ({ quick }) =>
        openFloor(size, (floor) =>
          floor
            .drive({ inFlightEach: 1, requestBytes: size.requestBytes, ...timesOf(quick, 3_000) })
            .then(halfAndTail),
        ),
    },
    openProduct: (settings) =>
      openProduct([size], settings, (fleet) =>
        fleet.drive({ kind: "read", inFlightEach: 1, ...timesOf(settings.quick, 3_000) }).then(halfAndTail),
      ),
  };
}

function throughApi(): Row {
  const size = { agents: 8, containersEach: 8, ...readBytes };
  const callersInAll = 64;
  return {
    key: "api-reads",
    title: "reads through the API, 64 callers",
    figures: [{ name: "", unit: "/s", better: "higher", must: 0.7, hope: 0.9 }],
    floor: {
      name: connectFloor,
      async open({ quick }) {
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
    },
    async openProduct(settings) {
      const callers = new Child("./api-callers.ts");
      const arm = await openProduct([size], settings, async (fleet) => {
        const times = timesOf(settings.quick, 3_000);
        const load: ApiLoad = { ...(await fleet.api()), callers: callersInAll, ...times };
        return rate(await callers.ask<Driven>("drive", load));
      });
      return closing(arm, () => callers.close());
    },
  };
}

/** Each round has processes of its own, because memory that was used once is seldom given back. */
function memory(): Row {
  const first = { agents: 50, containersEach: 0, ...readBytes };
  const size = (quick: boolean) => ({ ...first, agents: quick ? 200 : 2_000 });
  return {
    key: "memory",
    title: "memory for each idle agent",
    figures: [{ name: "", unit: " KB", better: "lower", must: 1.25, hope: 1.1 }],
    floor: {
      name: "bare grpc-js stream",
      open: async ({ quick }) => ({
        measure: () => grown(new FloorFleet(smallNursery), first, size(quick)),
        close: () => Promise.resolve(),
      }),
    },
    openProduct: async ({ quick, profileFolder }) => ({
      measure: () =>
        grown(new ProductFleet({ profileFolder, nodeOptions: smallNursery }), first, size(quick)),
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

function halfAndTail({ latenciesMs }: Driven): readonly number[] {
  return [percentile(latenciesMs, 0.5), percentile(latenciesMs, 0.99)];
}

function rateAndCost({ perSecond, processorMicros }: Driven): readonly number[] {
  return [perSecond, processorMicros];
}

function rate({ perSecond }: Driven): readonly number[] {
  return [perSecond];
}
