import { setTimeout as delay } from "node:timers/promises";
import { closing, openFloor, openProduct, tailOfReads, timesOf } from "./arms.ts";
import { Child } from "./child.ts";
import { type FleetSize, type ProductFleet, profiling, smallNursery } from "./fleets.ts";
import type { FloodedLog } from "./product-agents.ts";
import type { Figure, Row } from "./row.ts";
import type { LogToRead } from "./stream-callers.ts";
import { type Used, whileWatching } from "./usage-watch.ts";

const megabyte = 1_000_000;
// What an agent puts into one message of a log.
const messageBytes = 16 * 1024;
// More than any reader takes.
const floodBytesPerSecond = 2_000 * megabyte;

const one: FleetSize = { agents: 1, containersEach: 16, requestBytes: 140, responseBytes: 180 };

/** Logs: what they cost, and what they cost others. */
export const streamRows: readonly Row[] = [slowReader(), logFlood()];

/** The reader takes a fifth of 1 GB in each of the five rounds, far less than the container writes. */
function slowReader(): Row {
  const readBytesPerSecond = 8 * megabyte;
  return {
    key: "slow-reader",
    title: "1 GB of logs to a slow reader",
    figures: [
      { name: "reads one at a time, p99", unit: " ms", better: "lower", must: 2 },
      growth("control plane"),
      growth("agent"),
      growth("caller"),
      { name: "logs", unit: " MB/s", better: "higher" },
    ],
    floor: {
      name: "the same without the log",
      open: (settings) =>
        openProduct(
          [one],
          settings,
          async (fleet) => [await tailOfReads(fleet, timesOf(settings.quick, 5_000))],
          smallNursery,
        ),
    },
    async openProduct(settings) {
      const reader = new LogReader([...profiling(settings.profileFolder), ...smallNursery]);
      const before: number[] = [];
      const arm = await openProduct(
        [one],
        settings,
        async (fleet) => {
          await reader.connect(fleet);
          const children = [fleet.server, ...fleet.agents, reader.child];
          // What the commands alone need is there before, and what an earlier round has left behind counts as growth.
          if (before.length === 0) {
            await tailOfReads(fleet, timesOf(settings.quick, 5_000));
            before.push(...(await Promise.all(children.map((child) => child.ask<number>("memory")))));
          }
          const { value, used } = await whileWatching(children, () =>
            reader.during(readBytesPerSecond, () => tailOfReads(fleet, timesOf(settings.quick, 25_000))),
          );
          const grown = used.peakBytes.map((peak, at) => (peak - (before[at] ?? 0)) / 2 ** 20);
          return [value.result, ...grown, value.bytesPerSecond / megabyte];
        },
        smallNursery,
      );
      return closing(arm, () => reader.close());
    },
  };
}

/**
 * The floor has one hop, from a client in the place of the agent to a server in that of the control plane; the product has a second one, from
 * there to the caller.
 */
function logFlood(): Row {
  return {
    key: "log-flood",
    title: "logs to a fast reader, lines of 128 bytes",
    figures: [
      { name: "", unit: " MB/s", better: "higher" },
      cost("control plane"),
      cost("agent"),
      cost("caller"),
    ],
    floor: {
      name: "bare grpc-js stream, messages of 16 KiB",
      open: ({ quick }) =>
        openFloor(one, async (floor) => {
          const { warmUpMs, countedMs } = timesOf(quick, 4_000);
          await floor.flood(messageBytes);
          try {
            await delay(warmUpMs);
            const bytes = () => floor.server.ask<number>("bytesReceived");
            return await rateAndCosts([floor.server, floor.clients], bytes, countedMs);
          } finally {
            await floor.calm();
          }
        }),
    },
    async openProduct(settings) {
      const { warmUpMs, countedMs } = timesOf(settings.quick, 4_000);
      const reader = new LogReader(profiling(settings.profileFolder));
      const arm = await openProduct([one], settings, async (fleet) => {
        await reader.connect(fleet);
        const children = [fleet.server, ...fleet.agents, reader.child];
        const { result } = await reader.during(undefined, async () => {
          await delay(warmUpMs);
          return await rateAndCosts(children, () => reader.bytes(), countedMs);
        });
        return result;
      });
      return closing(arm, () => reader.close());
    },
  };
}

function growth(name: string): Figure {
  return { name: `memory growth, ${name}`, unit: " MB", better: "lower", must: 64, bounds: "value" };
}

function cost(name: string): Figure {
  return { name: `processor time for 1 MB, ${name}`, unit: " ms", better: "lower" };
}

async function rateAndCosts(
  children: readonly Child[],
  bytesNow: () => Promise<number>,
  countedMs: number,
): Promise<readonly number[]> {
  const { value, used } = await whileWatching(children, async () => {
    const startedAt = performance.now();
    const before = await bytesNow();
    await delay(countedMs);
    const megabytes = ((await bytesNow()) - before) / megabyte;
    return { megabytes, perSecond: (megabytes * 1000) / (performance.now() - startedAt) };
  });
  return [value.perSecond, ...costs(used, value.megabytes)];
}

function costs({ processorMs }: Used, megabytes: number): number[] {
  return processorMs.map((ms) => ms / megabytes);
}

/** A caller in a process of its own that reads the log of a container that writes without a pause. */
class LogReader {
  readonly child: Child;
  #log: FloodedLog | undefined;

  constructor(nodeOptions: readonly string[]) {
    this.child = new Child("./stream-callers.ts", { nodeOptions: ["--expose-gc", ...nodeOptions] });
  }

  async connect(fleet: ProductFleet): Promise<void> {
    if (this.#log !== undefined) return;
    this.#log = await fleet.flood(floodBytesPerSecond);
    await this.child.ask("connect", await fleet.api());
  }

  bytes(): Promise<number> {
    return this.child.ask("bytesRead");
  }

  /** Reads while `work` goes on, at most so many bytes a second. */
  async during<Result>(
    bytesPerSecond: number | undefined,
    work: () => Promise<Result>,
  ): Promise<{ readonly result: Result; readonly bytesPerSecond: number }> {
    if (this.#log === undefined) throw new TypeError("not connected");
    const before = await this.bytes();
    const startedAt = performance.now();
    const wish: LogToRead = { ...this.#log, bytesPerSecond };
    await this.child.ask("read", wish);
    const result = await work();
    const perSecond = (((await this.bytes()) - before) * 1000) / (performance.now() - startedAt);
    await this.child.ask("rest");
    return { result, bytesPerSecond: perSecond };
  }

  close(): Promise<void> {
    return this.child.close();
  }
}
