import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { floodLabel } from "../../src/agent/engine/simulated-flood.ts";
import { ContainerSpecSchema } from "../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { type SimulatedAgent, type SimulatedFleet, startSimulatedAgents } from "../simulated-agents.ts";
import { EventSource } from "./event-source.ts";
import { ownUsage } from "./own-usage.ts";
import { answerParent } from "./parent-link.ts";

// Agents of a measurement: real agent code with engines in memory, many in this one process.

const folder = await mkdtemp(join(tmpdir(), "fairlead-fleet-"));
const agents: SimulatedAgent[] = [];
const sources: EventSource[] = [];

answerParent({
  ...ownUsage,

  start: async (fleet: Omit<SimulatedFleet, "folder" | "terse" | "logLevel">) => {
    const first = agents.length;
    await startSimulatedAgents({ ...fleet, folder, terse: true, logLevel: "error" }, agents, neverAborted);
    for (const { engine } of agents.slice(first)) sources.push(new EventSource(engine));
  },

  flood: async ({ bytesPerSecond }: { bytesPerSecond: number }): Promise<FloodedLog> => {
    const [first] = agents;
    if (first === undefined) throw new RangeError("no agents");
    const spec = create(ContainerSpecSchema, {
      image: "nginx:1.29",
      labels: { [floodLabel]: `${bytesPerSecond}` },
    });
    const container = await first.engine.createContainer("flood", spec, neverAborted);
    await first.engine.startContainer(container, neverAborted);
    return { host: first.hostName, container };
  },

  // Of each agent.
  burst: async ({ events }: { events: number }) => {
    await Promise.all(sources.map((source) => source.emit(events)));
  },

  storm: ({ perSecond }: { perSecond: number }) => {
    for (const source of sources) source.begin(perSecond);
  },

  calm: () => {
    for (const source of sources) source.stop();
  },

  close: async () => {
    for (const source of sources) source.stop();
    await Promise.all(agents.map(({ agent }) => agent.close()));
    await rm(folder, { recursive: true, force: true });
  },
});

/** A container that writes without a pause. */
export interface FloodedLog {
  /** The name of its host. */
  readonly host: string;
  /** Its id. */
  readonly container: string;
}
