import type { Logger } from "pino";
import { examineAgent, startAgent } from "../agent/agent.ts";
import type { AgentOptions } from "../agent/config.ts";
import { type Diagnosis, errorFromDiagnosis } from "../agent/doctor/diagnosis.ts";
import type { Engine } from "../agent/engine/engine.ts";
import { wantsColours } from "../cli/environment.ts";
import type { Environment } from "../cli/environment.ts";
import { escapeText } from "../cli/output/escape.ts";
import { createPaint } from "../cli/output/paint.ts";
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
  readonly doctor?: boolean;
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

/**
 * Looks at everything between this machine's agent and its control plane, prints a line for each thing and what to do about the first that is
 * wrong. Disturbs nothing that runs. Rejects with OPERATION_FAILED when something is wrong.
 */
export async function runDoctor(options: AgentCommandOptions, environment: Environment): Promise<void> {
  const logger = createLogger(environment, "silent");
  const engine = await openLocalEngine(options, options.data, environment, logger);
  const paint = createPaint(wantsColours(environment, environment.isTTY));
  const words = {
    good: paint("good", "good   "),
    bad: paint("bad", "bad    "),
    skipped: paint("faint", "skipped"),
  };
  let first: Diagnosis | undefined;
  try {
    for await (const diagnosis of examineAgent(
      optionsFor(options, engine, environment, logger),
      environment.signal,
    )) {
      const { stage, verdict, detail } = diagnosis;
      environment.stdout.write(`${words[verdict]}  ${stage.padEnd(9)}  ${escapeText(detail)}\n`);
      if (verdict === "bad") first ??= diagnosis;
    }
  } finally {
    await engine.close();
  }
  if (first === undefined) return;
  throw errorFromDiagnosis(first);
}

function optionsFor(
  { server, token, name, policy, data, ...options }: AgentCommandOptions,
  engine: Engine,
  { env }: Environment,
  logger: Logger,
): AgentOptions {
  return {
    server,
    dataDir: agentFolder(data, engine),
    engine,
    insecure: options.insecure ?? saysYes("FAIRLEAD_INSECURE", env["FAIRLEAD_INSECURE"]),
    logger,
    ...(token === undefined ? {} : { token }),
    ...(name === undefined ? {} : { name }),
    ...(policy === undefined ? {} : { policyFile: policy }),
  };
}

async function keepAgent(
  options: AgentCommandOptions,
  engine: Engine,
  environment: Environment,
  logger: Logger,
): Promise<void> {
  const { signal } = environment;
  const agentOptions = optionsFor(options, engine, environment, logger);
  if (agentOptions.insecure === true) {
    logger.warn("PLAINTEXT: anyone on the way can read and change everything");
  }
  const agent = await startAgent(agentOptions);
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
