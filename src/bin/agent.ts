import { Option } from "commander";
import type { Command } from "commander";
import type { Logger } from "pino";
import { startAgent } from "../agent/agent.ts";
import type { Engine } from "../agent/engine/engine.ts";
import type { Environment } from "../cli/environment.ts";
import type { CommandLine } from "../cli/invocation.ts";
import { addEngineOptions, agentFolder, openLocalEngine } from "./local-engine.ts";
import type { EngineOptions } from "./local-engine.ts";
import { addLocalOptions, createLogger, graceMs, untilAborted } from "./local-process.ts";
import type { LocalOptions } from "./local-process.ts";

interface AgentCommandOptions extends LocalOptions, EngineOptions {
  readonly server: string;
  readonly token?: string;
}

/** `fairlead agent`: the agent of this machine, until somebody ends it. */
export function addAgentCommand(program: Command, line: CommandLine): void {
  const command = program
    .command("agent")
    .summary("run the agent of this machine")
    .description(
      "Runs the agent of this machine until Ctrl-C. The first start needs a token (`fairlead token create`); later ones use the identity that it keeps.",
    )
    .addOption(
      new Option("--server <host:port>", "where the control plane listens for agents")
        .env("FAIRLEAD_SERVER")
        .default("127.0.0.1:7443"),
    )
    .addOption(
      new Option("--token <token>", "a registration token, for the first start").env("FAIRLEAD_TOKEN"),
    )
    .addHelpText("after", examples);
  addEngineOptions(addLocalOptions(command, "info"), "docker").action(
    async (_options: object, self: Command) => {
      const { environment } = line;
      const options = self.optsWithGlobals<AgentCommandOptions>();
      const logger = createLogger(environment, options.logLevel);
      const engine = await openLocalEngine(options, options.data, environment, logger);
      try {
        await runAgent(options, engine, environment, logger);
      } finally {
        await engine.close();
      }
    },
  );
}

async function runAgent(
  { server, token, name, data }: AgentCommandOptions,
  engine: Engine,
  { signal }: Environment,
  logger: Logger,
): Promise<void> {
  const agent = await startAgent({
    server,
    dataDir: agentFolder(data, engine),
    engine,
    logger,
    ...(token === undefined ? {} : { token }),
    ...(name === undefined ? {} : { name }),
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

const examples = `
Examples:
  fairlead agent --server 127.0.0.1:7443 --token fl1.…   the first start, which enrols this host
  fairlead agent                                         every other one
  fairlead agent --engine simulated --token fl1.…        without Docker

FAIRLEAD_TOKEN keeps the token out of the list of processes.
`;
