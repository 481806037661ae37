import type { Command } from "commander";
import type { Logger } from "pino";
import { startAgent } from "../agent/agent.ts";
import type { RunningAgent } from "../agent/agent.ts";
import type { Engine } from "../agent/engine/engine.ts";
import { IdentityFile } from "../agent/identity/identity-file.ts";
import { printContainers } from "../cli/commands/ps.ts";
import type { Environment } from "../cli/environment.ts";
import { Invocation } from "../cli/invocation.ts";
import type { CommandLine } from "../cli/invocation.ts";
import { explainListenFailure } from "../cli/listen-failure.ts";
import { startControlPlane } from "../control-plane/control-plane.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { addEngineOptions, agentFolder, openLocalEngine } from "./local-engine.ts";
import type { EngineOptions } from "./local-engine.ts";
import {
  addListenOptions,
  addLocalOptions,
  addressText,
  createLogger,
  graceMs,
  untilAborted,
} from "./local-process.ts";
import type { ListenOptions, LocalOptions } from "./local-process.ts";
import { nextSteps, readyLines } from "./up-text.ts";

interface UpOptions extends LocalOptions, ListenOptions, EngineOptions {}

/** How long the first snapshot of the containers is waited for, and how often it is asked for. */
const snapshotMs = 10_000;
const pollMs = 50;

/** `fairlead up`: a control plane and the agent of this machine in one process, to try things out. */
export function addUpCommand(program: Command, line: CommandLine): void {
  const command = program
    .command("up")
    .summary("try it out: a control plane and an agent on this machine")
    .description(
      "Runs a control plane and one agent on this machine's Docker Engine (a simulated one when there is none), until Ctrl-C. The agent enrols through the real protocol; what it keeps is used again at the next start.",
    )
    .addHelpText("after", examples);
  addEngineOptions(addListenOptions(addLocalOptions(command, "warn")), "auto").action(
    async (options: UpOptions) => await up(options, line.environment),
  );
}

async function up(options: UpOptions, environment: Environment): Promise<void> {
  const logger = createLogger(environment, options.logLevel);
  const controlPlane = await startControlPlane({
    dataDir: options.data,
    agentsListen: options.agentsListen,
    apiListen: options.apiListen,
    logger,
  }).catch((error: unknown) => {
    throw explainListenFailure(error);
  });
  const api = new Invocation(environment, { server: `http://${addressText(controlPlane.apiAddress)}` });
  try {
    await withAgent(options, controlPlane, api, logger);
  } finally {
    api.close();
    await controlPlane.close(graceMs);
  }
}

async function withAgent(
  options: UpOptions,
  controlPlane: ControlPlane,
  api: Invocation,
  logger: Logger,
): Promise<void> {
  const { environment } = api;
  const engine = await openLocalEngine(options, options.data, environment, logger);
  try {
    const agent = await startLocalAgent(options, engine, controlPlane, api, logger);
    try {
      await Promise.race([untilEnded(agent), showWhenReady(agent, options, controlPlane, engine, api)]);
      await Promise.race([untilEnded(agent), untilAborted(environment.signal)]);
      api.hint("\nEnding what runs; Ctrl-C again ends at once.");
      await agent.drain(graceMs);
    } finally {
      await agent.close();
    }
  } finally {
    await engine.close();
  }
}

async function startLocalAgent(
  { data, name }: UpOptions,
  engine: Engine,
  { agentsAddress }: ControlPlane,
  { client, call }: Invocation,
  logger: Logger,
): Promise<RunningAgent> {
  const dataDir = agentFolder(data, engine);
  const { agentId } = await IdentityFile.open(dataDir, logger);
  const enrolment =
    agentId === undefined
      ? await client.registrationTokens.createRegistrationToken({ description: "fairlead up" }, call)
      : undefined;
  return await startAgent({
    server: addressText(agentsAddress),
    dataDir,
    engine,
    logger,
    ...(enrolment === undefined ? {} : { token: enrolment.token }),
    ...(name === undefined ? {} : { name }),
  });
}

async function showWhenReady(
  agent: RunningAgent,
  { data }: UpOptions,
  controlPlane: ControlPlane,
  engine: Engine,
  api: Invocation,
): Promise<void> {
  const { environment } = api;
  try {
    await agent.ready;
    const host = await untilInventoried(agent, api);
    api.print(
      readyLines({ ...addressesOf(controlPlane), data, host, engine: engine.kind, paint: api.paint }),
    );
    await printContainers(api, { all: true });
    api.print(nextSteps(api.client.server, api.paint));
  } catch (error) {
    if (!environment.signal.aborted) {
      throw error;
    }
  }
}

async function untilInventoried(agent: RunningAgent, { client, call, environment }: Invocation) {
  const { clock, signal } = environment;
  const end = clock.monotonic() + snapshotMs;
  for (;;) {
    const { hosts } = await client.hosts.listHosts({ pageSize: 1_000 }, call);
    const host = hosts.find(({ agentId }) => agentId === agent.agentId());
    if (host?.engineAvailable === true || clock.monotonic() > end) {
      return host;
    }
    await clock.sleep(pollMs, signal);
  }
}

async function untilEnded(agent: RunningAgent): Promise<void> {
  const refused = await agent.done;
  if (refused !== undefined) {
    throw refused;
  }
}

function addressesOf({ apiAddress, agentsAddress }: ControlPlane) {
  return { api: `http://${addressText(apiAddress)}`, agents: addressText(agentsAddress) };
}

const examples = `
Examples:
  fairlead up
  fairlead up --engine simulated    without touching Docker
  fairlead up --api-listen 127.0.0.1:8080 --agents-listen 127.0.0.1:8443
`;
