import { setTimeout as delay } from "node:timers/promises";
import { closing, openProduct, tailOfReads, timesOf } from "./arms.ts";
import { Child } from "./child.ts";
import { type FleetSize, ProductFleet, profiling } from "./fleets.ts";
import type { Arm, Row, RunSettings } from "./row.ts";
import { whileWatching } from "./usage-watch.ts";

const readBytes = { requestBytes: 140, responseBytes: 180 };

/** What happens when all agents do something at once, and what they cost when none does. */
export const stormRows: readonly Row[] = [
  eventStorm(),
  eventIntake(),
  reconnections("reconnect", false, { must: 4, hope: 2 }),
  reconnections("reconnect-tls", true, { must: 8, hope: 4 }),
  idleAgents(),
];

/** The command's own agent is one of those that storm, and is in a process of its own, so that it waits for no other agent's work. */
function eventStorm(): Row {
  const others = 49;
  const perSecondEach = 200;
  const sizes = [1, others].map((agents) => ({ agents, containersEach: 4, ...readBytes }));
  return {
    key: "event-storm",
    title: `${others + 1} agents with ${perSecondEach} events a second each`,
    figures: [
      { name: "reads one at a time, p99", unit: " ms", better: "lower", must: 5, hope: 2 },
      { name: "seen by a watcher", unit: "/s", better: "higher" },
    ],
    floor: {
      name: "the same without events",
      open: (settings) =>
        openProduct(sizes, settings, async (fleet) => [
          await tailOfReads(fleet, timesOf(settings.quick, 5_000)),
        ]),
    },
    async openProduct(settings) {
      const watcher = new Watcher(settings);
      const arm = await openProduct(sizes, settings, async (fleet) => {
        await watcher.connect(fleet);
        const before = await watcher.seen();
        const startedAt = performance.now();
        await fleet.ofAgents("storm", { perSecond: perSecondEach });
        try {
          const p99 = await tailOfReads(fleet, timesOf(settings.quick, 5_000));
          return [p99, (((await watcher.seen()) - before) * 1000) / (performance.now() - startedAt)];
        } finally {
          await fleet.ofAgents("calm");
          await watcher.untilQuiet();
        }
      });
      return closing(arm, () => watcher.close());
    },
  };
}

/** Everything happens at once, as much as agents hold back for a session; it is over when a watcher at the API has seen all. */
function eventIntake(): Row {
  const size = { agents: 8, containersEach: 4, ...readBytes };
  const withinMs = 60_000;
  return {
    key: "event-intake",
    title: "events taken in, stored and seen by a watcher",
    figures: [
      { name: "", unit: "/s", better: "higher", must: 20_000, hope: 50_000, bounds: "value" },
      { name: "processor time of the control plane for each", unit: " µs", better: "lower" },
    ],
    floor: undefined,
    async openProduct(settings) {
      const events = settings.quick ? 1_000 : 8_000;
      const watcher = new Watcher(settings);
      const arm = await openProduct([size], settings, async (fleet) => {
        await watcher.connect(fleet);
        const awaited = (await watcher.seen()) + events * size.agents;
        const startedAt = performance.now();
        const { used } = await whileWatching([fleet.server], async () => {
          await fleet.ofAgents("burst", { events });
          await watcher.until(awaited, withinMs);
        });
        const count = events * size.agents;
        const [processorMs = Number.NaN] = used.processorMs;
        return [(count * 1000) / (performance.now() - startedAt), (processorMs * 1000) / count];
      });
      return closing(arm, () => watcher.close());
    },
  };
}

/** Each round has processes of its own: an agent whose sessions die young waits longer before it comes again. */
function reconnections(
  key: string,
  tls: boolean,
  bounds: { readonly must: number; readonly hope: number },
): Row {
  const inProcesses = 2;
  return {
    key,
    title: `2,000 agents reconnect at once, ${tls ? "with" : "without"} TLS`,
    figures: [
      { name: "", unit: " s", better: "lower", ...bounds, bounds: "value" },
      { name: "processor time of the control plane for each", unit: " ms", better: "lower" },
      { name: "of an agent", unit: " ms", better: "lower" },
    ],
    floor: undefined,
    openProduct: async ({ quick, profileFolder }) => ({
      measure: async () => {
        const fleet = new ProductFleet({ profileFolder, tls });
        const agents = quick ? 100 : 2_000;
        try {
          await connectInParts(fleet, agents, inProcesses);
          const { value: tookMs, used } = await whileWatching([fleet.server, ...fleet.agents], () =>
            fleet.reconnect(),
          );
          const [ofServer = Number.NaN, ...ofAgents] = used.processorMs;
          const inAgents = ofAgents.reduce((sum, ms) => sum + ms, 0);
          return [tookMs / 1000, ofServer / agents, inAgents / agents];
        } finally {
          await fleet.close();
        }
      },
      close: () => Promise.resolve(),
    }),
  };
}

function idleAgents(): Row {
  const wanted = 10_000;
  const inProcesses = 5;
  return {
    key: "idle",
    title: "heartbeats and leases of 10,000 idle agents",
    figures: [
      { name: "one core", unit: " %", better: "lower", must: 10, hope: 5, bounds: "value" },
      { name: "measured with so many", unit: "", better: "higher" },
    ],
    floor: undefined,
    async openProduct({ quick, profileFolder }: RunSettings): Promise<Arm> {
      const fleet = new ProductFleet({ profileFolder });
      const agents = quick ? 200 : Math.min(wanted, filesLimit() - 1_000);
      try {
        await connectInParts(fleet, agents, inProcesses);
        await delay(quick ? 500 : 15_000);
      } catch (error) {
        await fleet.close();
        throw error;
      }
      return {
        // A heartbeat each way in every 15 s.
        measure: async () => {
          const countedMs = quick ? 2_000 : 30_000;
          const { used } = await whileWatching([fleet.server], () => delay(countedMs), countedMs);
          const [processorMs = Number.NaN] = used.processorMs;
          return [((processorMs / countedMs) * 100 * wanted) / agents, agents];
        },
        close: () => fleet.close(),
      };
    },
  };
}

async function connectInParts(fleet: ProductFleet, agents: number, parts: number): Promise<void> {
  const size: FleetSize = { agents: Math.floor(agents / parts), containersEach: 0, ...readBytes };
  for (let part = 0; part < parts; part += 1) await fleet.connect(size);
}

/** How many files a process may have open. */
function filesLimit(): number {
  const report = process.report.getReport() as {
    readonly userLimits?: { readonly open_files?: { readonly soft?: number | string } };
  };
  const limit = Number(report.userLimits?.open_files?.soft);
  // "unlimited", or a platform that does not tell.
  return Number.isNaN(limit) ? 11_000 : limit;
}

/** Follows the fleet's events at the API, in a process of its own. */
class Watcher {
  readonly #child: Child;
  #isConnected = false;

  constructor({ profileFolder }: RunSettings) {
    this.#child = new Child("./stream-callers.ts", { nodeOptions: profiling(profileFolder) });
  }

  async connect(fleet: ProductFleet): Promise<void> {
    if (this.#isConnected) return;
    this.#isConnected = true;
    await this.#child.ask("connect", await fleet.api());
    await this.#child.ask("watch");
  }

  /** How many events it has seen. */
  seen(): Promise<number> {
    return this.#child.ask("eventsSeen");
  }

  /** Resolves when it has seen so many. */
  async until(events: number, withinMs: number): Promise<void> {
    await this.#child.ask("seen", { events, withinMs });
  }

  /** Resolves when nothing has come for a moment. */
  async untilQuiet(): Promise<void> {
    for (let before = -1, now = await this.seen(); now > before; ) {
      await delay(500);
      before = now;
      now = await this.seen();
    }
  }

  close(): Promise<void> {
    return this.#child.close();
  }
}
