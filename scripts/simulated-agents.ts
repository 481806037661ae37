import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pino } from "pino";
import { type RunningAgent, startAgent } from "../src/agent/agent.ts";
import { SimulatedEngine } from "../src/agent/engine/simulated-engine.ts";
import { systemClock } from "../src/resilience/clock.ts";
import { TerseEngine } from "./bench/terse-engine.ts";

/** How many agents there are, and of what kind. */
export interface SimulatedFleet {
  /** "host:port" of the control plane. */
  readonly server: string;
  readonly token: string;
  readonly agents: number;
  /** Of each. */
  readonly containers: number;
  /** What the names of the hosts begin with. */
  readonly prefix: string;
  /** Where identities and journals are kept. It must be nobody else's. */
  readonly folder: string;
  /** Whether engines tell only id and name of a container, for measurements. */
  readonly terse: boolean;
  readonly logLevel: string;
}

/** One of them. */
export interface SimulatedAgent {
  readonly agent: RunningAgent;
  readonly engine: SimulatedEngine;
  readonly hostName: string;
}

// More at once would only wait for the disk, where each agent's key is made safe.
const startsAtOnce = 32;

/**
 * Starts agents with engines in memory, and puts each into `started` as soon as it has begun: whoever called closes them, also when this
 * rejects. Resolves when all are online, or when the signal aborts.
 */
export async function startSimulatedAgents(
  fleet: SimulatedFleet,
  started: SimulatedAgent[],
  signal: AbortSignal,
): Promise<void> {
  const stopped = aborted(signal);
  let next = 0;
  const starter = async (): Promise<void> => {
    while (next < fleet.agents && !signal.aborted) {
      const one = await startOne(fleet, (next += 1));
      started.push(one);
      await Promise.race([one.agent.ready, stopped]);
    }
  };
  await Promise.all(Array.from({ length: startsAtOnce }, starter));
}

/** Resolves when the signal has aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}

async function startOne(fleet: SimulatedFleet, number: number): Promise<SimulatedAgent> {
  const { server, token, containers, folder, logLevel, prefix, terse } = fleet;
  const hostName = `${prefix}-${number}`;
  const dataDir = join(folder, hostName);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const Engine = terse ? TerseEngine : SimulatedEngine;
  // The same host again, when the folder is used again.
  const engine = new Engine({ clock: systemClock, engineId: hostName, hostname: hostName, containers });
  const agent = await startAgent({
    server,
    token,
    dataDir,
    dataDirIsLocked: true,
    engine,
    name: hostName,
    logger: pino({ level: logLevel, base: null }, pino.destination(2)),
    ownContainerId: "",
  });
  return { agent, engine, hostName };
}
