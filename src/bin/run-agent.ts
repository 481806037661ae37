import type { Logger } from "pino";
import { startAgent } from "../agent/agent.ts";
import type { Engine } from "../agent/engine/engine.ts";
import type { Environment } from "../cli/environment.ts";
import type { EngineOptions } from "./engine-options.ts";
import { agentFolder, openLocalEngine } from "./local-engine.ts";
import { createLogger, graceMs, untilAborted } from "./local-process.ts";
import type { LocalOptions } from "./local-process.ts";
import { saysYes } from "./tls-options.ts";

/** What `agent` can be told. */
export interface AgentCommandOptions extends LocalOptions, EngineOptions {
  readonly server: string;
  readonly token?: string;
  readonly insecure?: boolean;
}

/**
 * Runs the agent of this machine until the signal of the environment aborts, then drains it. Rejects when it cannot
 * start, and when the control plane refuses to enrol it.
 */
export async function runAgent(options: AgentCommandOptions, environment: Environment): Promise<void> {
  const logger = createLogger(environment, options.logLevel);
  const engine = await openLocalEngine(options, options.data, environment, logger);
  try {
    await keepAgent(options, engine, environment, logger);
  } finally {
    await engine.close();
  }
}

async function keepAgent(
  { server, token, name, policy, data, ...options }: AgentCommandOptions,
  engine: Engine,
  { signal, env }: Environment,
  logger: Logger,
): Promise<void> {
  const insecure = options.insecure ?? saysYes("FAIRLEAD_INSECURE", env["FAIRLEAD_INSECURE"]);
  if (insecure) {
    logger.warn("PLAINTEXT: anyone on the way can read and change everything");
  }
  const agent = await startAgent({
    server,
    dataDir: agentFolder(data, engine),
    engine,
    insecure,
    logger,
    ...(token === undefined ? {} : { token }),
    ...(name === undefined ? {} : { name }),
    ...(policy === undefined ? {} : { policyFile: policy }),
  });
  try {
    const refused = await Promise.race([agent.done, untilAborted(signal)]);
    if (refused instanceof Error) {
      throw refused;
    }
    logger.info("the agent drains; a second signal ends it at once");
    await agent.drain(graceMs);
  } finally {
    await agent.close();
  }
}
