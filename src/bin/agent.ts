import { Option } from "commander";
import type { Command } from "commander";
import type { CommandLine } from "../cli/invocation.ts";
import { addEngineOptions } from "./engine-options.ts";
import { addLocalOptions } from "./local-process.ts";
import type { AgentCommandOptions } from "./run-agent.ts";

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
    .option(
      "--insecure",
      "plaintext, for use over something that encrypts (env: FAIRLEAD_INSECURE=true); said at every start",
    )
    .option("--doctor", "look at the way to the control plane and at the engine, say what to do, and end")
    .addHelpText("after", examples);
  addEngineOptions(addLocalOptions(command, "info"), "docker").action(
    async (_options: object, self: Command) => {
      // Loaded only now, so that the commands that only call the API start quickly.
      const { runAgent, runDoctor } = await import("./run-agent.ts");
      const options = self.optsWithGlobals<AgentCommandOptions>();
      await (options.doctor === true ? runDoctor : runAgent)(options, line.environment);
    },
  );
}

const examples = `
Examples:
  fairlead agent --server 127.0.0.1:7443 --token fl1.…   the first start, which enrols this host
  fairlead agent                                         every other one
  fairlead agent --engine simulated --token fl1.…        without Docker
  fairlead agent --doctor                                why it does not connect

FAIRLEAD_TOKEN keeps the token out of the list of processes.
`;
