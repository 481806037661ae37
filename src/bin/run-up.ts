import type { Logger } from "pino";
import { startAgent } from "../agent/agent.ts";
import type { RunningAgent } from "../agent/agent.ts";
import type { AgentOptions } from "../agent/config.ts";
import type { Engine } from "../agent/engine/engine.ts";
import { printContainers } from "../cli/commands/ps.ts";
import type { Environment } from "../cli/environment.ts";
import { Invocation } from "../cli/invocation.ts";
import type { CommandLine } from "../cli/invocation.ts";
import type { FleetError } from "../domain/errors.ts";
import type { EngineOptions } from "./engine-options.ts";
import { agentFolder, openLocalEngine } from "./local-engine.ts";
import { startLocalControlPlane } from "./local-control-plane.ts";
import type { ControlPlaneOptions, LocalControlPlane } from "./local-control-plane.ts";
import { addressText, createLogger, graceMs, untilAborted } from "./local-process.ts";
import { nextSteps, readyLines } from "./up-text.ts";

/** What `up` can be told. */
export interface UpOptions extends ControlPlaneOptions, EngineOptions {}

/** How long the first snapshot of the containers is waited for, and how often it is asked for. */
const snapshotMs = 10_000;
const pollMs = 50;

/** The agent ends first, then the control plane. */
const graceEachMs = graceMs / 2;

/**
 * Runs a control plane and the agent of this machine until the signal of the environment aborts. Rejects when one of
 * them cannot start or ends by itself; nothing runs on then.
 */
export async function runUp(options: UpOptions, { environment, programName }: CommandLine): Promise<void> {
  const logger = createLogger(environment, options.logLevel);
  const local = await startLocalControlPlane(options, environment, logger);
  const { keyFile } = local.controlPlane;
  const api = new Invocation(ownEnvironment(environment), {
    server: local.controlPlane.apiUrl,
    ...(local.ca === undefined ? {} : { ca: local.ca }),
    ...(keyFile === undefined ? {} : { keyFile }),
  });
  try {
    await withAgent({ options, local, api, logger, programName });
  } finally {
    api.close();
    await local.controlPlane.close(graceEachMs);
  }
}

// Credentials of the environment are for another control plane than the one that was just started.
function ownEnvironment(environment: Environment): Environment {
  const env = {
    ...environment.env,
    FAIRLEAD_API_KEY: undefined,
    FAIRLEAD_CA: undefined,
    FAIRLEAD_KEY_FILE: undefined,
  };
  return { ...environment, env };
}

/** What belongs to one run of `up`. */
interface Run {
  readonly options: UpOptions;
  readonly local: LocalControlPlane;
  readonly api: Invocation;
  readonly logger: Logger;
  readonly programName: string;
}

async function withAgent(run: Run): Promise<void> {
  const { options, api, logger } = run;
  const { signal } = api.environment;
  const engine = await openLocalEngine(options, options.data, api.environment, logger);
  try {
    const agent = await startLocalAgent(run, engine);
    try {
      await Promise.race([untilEnded(agent), untilAborted(signal), showWhenReady(run, agent, engine)]);
      await Promise.race([untilEnded(agent), untilAborted(signal)]);
      api.hint("\nEnding what runs; Ctrl-C again ends at once.");
      await agent.drain(graceEachMs);
    } finally {
      await agent.close();
    }
  } finally {
    await engine.close();
  }
}

async function startLocalAgent(run: Run, engine: Engine): Promise<RunningAgent> {
  const { options, local, api, logger } = run;
  const { client, call } = api;
  const settings: AgentOptions = {
    server: local.controlPlane.agentsServer,
    insecure: local.plaintext,
    dataDir: agentFolder(options.data, engine),
    engine,
    logger,
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.policy === undefined ? {} : { policyFile: options.policy }),
  };
  try {
    return await startAgent(settings);
  } catch (error) {
    if (!needsToken(error)) {
      throw error;
    }
    const description = "fairlead up";
    const { token } = await client.registrationTokens.createRegistrationToken({ description }, call);
    return await startAgent({ ...settings, token });
  }
}

// Only the agent knows whether it has an identity from an earlier start.
function needsToken(error: unknown): boolean {
  const { violations = [] } = error as Partial<FleetError>;
  return violations.some(({ field }) => field === "token");
}

async function showWhenReady(run: Run, agent: RunningAgent, engine: Engine): Promise<void> {
  const { api, options, local, programName } = run;
  const { client, paint, environment } = api;
  try {
    await agent.ready;
    const host = await untilInventoried(agent, api);
    const { controlPlane, ca, plaintext } = local;
    const { keyFile } = controlPlane;
    const agents = addressText(controlPlane.agentsAddress);
    const places = { api: client.server, agents, data: options.data, plaintext };
    api.print(readyLines({ ...places, host, engine: engine.kind, paint }));
    await printContainers(api, { all: true });
    api.print(nextSteps({ api: client.server, ca, keyFile, programName, host, paint }));
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
    if ((host?.online === true && host.engineAvailable) || clock.monotonic() > end) {
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
