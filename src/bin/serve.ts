import type { Command } from "commander";
import type { CommandLine } from "../cli/invocation.ts";
import { addListenOptions, addLocalOptions } from "./local-process.ts";
import type { ServeOptions } from "./run-serve.ts";

/** `fairlead serve`: a control plane, until somebody ends it. */
export function addServeCommand(program: Command, line: CommandLine): void {
  const command = program
    .command("serve")
    .summary("run a control plane")
    .description(
      "Runs a control plane until Ctrl-C. This version has neither TLS nor API keys yet, so it listens on loopback addresses only.",
    )
    .addHelpText("after", examples);
  addListenOptions(addLocalOptions(command, "info")).action(async (options: ServeOptions) => {
    // Loaded only now, so that the commands that only call the API start quickly.
    const { runServe } = await import("./run-serve.ts");
    await runServe(options, line.environment);
  });
}

const examples = `
Examples:
  fairlead serve
  fairlead serve --data /var/lib/fairlead --api-listen 127.0.0.1:8080
`;
