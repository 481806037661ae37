import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { lockFolder } from "../src/disk/folder-lock.ts";
import { aborted, type SimulatedAgent, startSimulatedAgents } from "./simulated-agents.ts";

// Many agents in one process, each with an engine in memory: real agent code, real sockets, real journals.

interface FleetOptions {
  readonly server: string;
  readonly agents: number;
  readonly token: string;
  readonly containers: number;
  readonly prefix: string;
  readonly data?: string;
  readonly terse: boolean;
  readonly logLevel: string;
}

const description = `Connects many agents with simulated engines to a control plane, until Ctrl-C.

The token must allow as many enrolments as there are agents:
  fairlead token create --max-uses 100
  node scripts/simulate-fleet.ts --server 127.0.0.1:7443 --agents 100 --token fl1.…`;

const progressMs = 2_000;

const program = new Command("simulate-fleet")
  .description(description)
  .option("--server <host:port>", "where the control plane listens for agents", "127.0.0.1:7443")
  .option("--agents <number>", "how many", wholeNumber, 10)
  .addOption(
    new Option("--token <token>", "a registration token with enough uses")
      .env("FAIRLEAD_TOKEN")
      .makeOptionMandatory(),
  )
  .option("--containers <number>", "how many containers each has", wholeNumber, 4)
  .option("--prefix <text>", "what the names of the hosts begin with", "simulated")
  .option("--data <folder>", "where identities and journals are kept; by default they go with the process")
  .option("--terse", "tell only id and name of a container, for measurements", false)
  .option("--log-level <level>", "how much the agents' log on standard error says", "warn")
  .action(run);

await program.parseAsync();

async function run(options: FleetOptions): Promise<void> {
  const folder = options.data ?? (await mkdtemp(join(tmpdir(), "fairlead-fleet-")));
  // One open file for all of them.
  const lock = lockFolder(folder, "agent");
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.on("SIGINT", stop).on("SIGTERM", stop).on("disconnect", stop);
  const agents: SimulatedAgent[] = [];
  try {
    await startAll(options, folder, agents, stopping.signal);
    if (!stopping.signal.aborted) console.log("Ctrl-C ends them.");
    await Promise.race([aborted(stopping.signal), allEnded(agents)]);
    console.log(`ending ${agents.length} agents`);
  } finally {
    await Promise.all(agents.map(({ agent }) => agent.close()));
    lock.release();
    if (options.data === undefined) await rm(folder, { recursive: true, force: true });
    process.off("SIGINT", stop).off("SIGTERM", stop).off("disconnect", stop);
  }
}

async function startAll(
  options: FleetOptions,
  folder: string,
  agents: SimulatedAgent[],
  signal: AbortSignal,
): Promise<void> {
  console.log(`connecting ${options.agents} agents to ${options.server}, data in ${folder}`);
  const startedAt = performance.now();
  const progress = setInterval(() => {
    const online = agents.filter(({ agent }) => agent.state() === "online").length;
    console.log(`${online} of ${options.agents} are online`);
  }, progressMs);
  try {
    await startSimulatedAgents({ ...options, folder }, agents, signal);
  } finally {
    clearInterval(progress);
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  if (!signal.aborted) console.log(`all ${options.agents} agents are online after ${seconds} s`);
}

async function allEnded(agents: readonly SimulatedAgent[]): Promise<void> {
  const ends = await Promise.all(agents.map(({ agent }) => agent.done));
  const refused = ends.find((end) => end !== undefined);
  if (refused !== undefined) throw refused;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("Write a whole number.");
  return Number(text);
}
