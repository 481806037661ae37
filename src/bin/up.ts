import type { Command } from "commander";
import type { CommandLine } from "../cli/invocation.ts";
import { addEngineOptions } from "./engine-options.ts";
import { addLimitOptions } from "./limit-options.ts";
import { addListenOptions, addLocalOptions } from "./local-process.ts";
import type { UpOptions } from "./run-up.ts";
import { addOidcOptions } from "./oidc-options.ts";
import { addTlsOptions } from "./tls-options.ts";

/** `fairlead up`: a control plane and the agent of this machine in one process, to try things out. */
export function addUpCommand(program: Command, line: CommandLine): void {
  const command = program
    .command("up")
    .summary("try it out: a control plane and an agent on this machine")
    .description(
      "Runs a control plane and one agent on this machine's Docker Engine (a simulated one when there is none), until Ctrl-C. The agent enrols through the real protocol; what it keeps is used again at the next start.",
    )
    .addHelpText("after", examples);
  addEngineOptions(
    addLimitOptions(addOidcOptions(addTlsOptions(addListenOptions(addLocalOptions(command, "warn"))))),
    "auto",
  ).action(async (options: UpOptions) => {
    // Loaded only now, so that the commands that only call the API start quickly.
    const { runUp } = await import("./run-up.ts");
    await runUp(options, line);
  });
}

const examples = `
Examples:
  fairlead up
  fairlead up --engine simulated    without touching Docker
  fairlead up --api-listen 127.0.0.1:8080 --agents-listen 127.0.0.1:8443
`;
