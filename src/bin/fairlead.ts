#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { createEnvironment } from "../cli/environment.ts";
import { runCli } from "../cli/run-cli.ts";
import { addAgentCommand } from "./agent.ts";
import { addServeCommand } from "./serve.ts";
import { ownTerminal, standardInput } from "./terminal.ts";
import { addUpCommand } from "./up.ts";

/** How long what is still open after the end of a command may keep the process. */
const lingerMs = 2_000;

// What Node.js wants changed in its users' code is for our tests, not for whoever runs this.
process.noDeprecation = true;

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};
// In a clone there is no installed program, but a launcher beside package.json.
const programName = import.meta.url.endsWith(".ts") ? "./fairlead" : "fairlead";
const exitCode = await runCli(
  process.argv.slice(2),
  createEnvironment({
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: standardInput,
    terminal: ownTerminal(),
    isTTY: process.stdout.isTTY,
    isErrorTTY: process.stderr.isTTY,
    columns: process.stdout.columns,
    signal: interruption(),
  }),
  { version: manifest.version, programName, localCommands: [addUpCommand, addServeCommand, addAgentCommand] },
);
process.exitCode = exitCode;
setTimeout(() => process.exit(exitCode), lingerMs).unref();

/** Aborts at the first SIGINT or SIGTERM; the second one ends the process at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.on(signal, () => (controller.signal.aborted ? process.exit(code) : controller.abort()));
  }
  // Whoever read our output has enough of it, as `head` does.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  return controller.signal;
}
