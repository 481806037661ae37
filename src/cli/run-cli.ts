import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import {
  addKillCommand,
  addPauseCommand,
  addRestartCommand,
  addRmCommand,
  addStartCommand,
  addStopCommand,
  addUnpauseCommand,
} from "./commands/container-actions.ts";
import { addAuthorityCommand } from "./commands/authority.ts";
import { addCommandsCommand } from "./commands/commands.ts";
import { addCpCommand } from "./commands/cp.ts";
import { addCreateCommand } from "./commands/create.ts";
import { addDiffCommand } from "./commands/diff.ts";
import { addEventsCommand } from "./commands/events.ts";
import { addHostsCommand } from "./commands/hosts.ts";
import { addInspectCommand } from "./commands/inspect.ts";
import { addKeysCommand } from "./commands/keys.ts";
import { addExecCommand } from "./commands/exec.ts";
import { addLogsCommand } from "./commands/logs.ts";
import { addPsCommand } from "./commands/ps.ts";
import { addRenameCommand } from "./commands/rename.ts";
import { addStatsCommand } from "./commands/stats.ts";
import { addRunCommand } from "./commands/run.ts";
import { addTokenCommand } from "./commands/token.ts";
import { addTopCommand } from "./commands/top.ts";
import { addWaitCommand } from "./commands/wait.ts";
import { addUpdateCommand } from "./commands/update.ts";
import { wantsColours } from "./environment.ts";
import type { Environment } from "./environment.ts";
import { writeError } from "./invocation.ts";
import type { CommandLine } from "./invocation.ts";
import { formatJsonLine } from "./output/json.ts";
import { escapeText } from "./output/escape.ts";

/** Adds a command to the program. */
export type AddCommand = (program: Command, line: CommandLine) => void;

/** What a program is called with. */
export interface CliParts {
  readonly version: string;
  /** How people call the program here. Default: "fairlead". */
  readonly programName?: string;
  /** Commands of this machine (`serve`, `agent`, `up`), which are more than a client of the API. */
  readonly localCommands?: readonly AddCommand[];
}

const failure = 1;
const usageFailure = 2;
const interrupted = 130;

const clientCommands: readonly AddCommand[] = [
  addPsCommand,
  addRunCommand,
  addCreateCommand,
  addStartCommand,
  addStopCommand,
  addRestartCommand,
  addKillCommand,
  addPauseCommand,
  addUnpauseCommand,
  addRenameCommand,
  addUpdateCommand,
  addRmCommand,
  addWaitCommand,
  addInspectCommand,
  addTopCommand,
  addDiffCommand,
  addLogsCommand,
  addStatsCommand,
  addCpCommand,
  addExecCommand,
];
const fleetCommands: readonly AddCommand[] = [
  addHostsCommand,
  addTokenCommand,
  addKeysCommand,
  addAuthorityCommand,
  addCommandsCommand,
  addEventsCommand,
];

/**
 * Runs one command line, given without the program's name, to its end. Everything that goes wrong is told on
 * standard error. Resolves with the exit code: 0 all is well, 1 something failed, 2 the command line is wrong,
 * 130 the person ended it.
 */
export async function runCli(
  args: readonly string[],
  environment: Environment,
  parts: CliParts,
): Promise<number> {
  let exitCode = 0;
  const { programName = "fairlead" } = parts;
  const line: CommandLine = { environment, programName, setExitCode: (code) => (exitCode = code) };
  const program = createProgram(args, line, parts);
  try {
    await program.parseAsync(args.length === 0 ? ["--help"] : args, { from: "user" });
    return exitCode;
  } catch (error) {
    return exitCodeOf(error, args, environment);
  }
}

function createProgram(args: readonly string[], line: CommandLine, parts: CliParts): Command {
  const { environment } = line;
  const program = new Command("fairlead")
    .description("Runs the containers of many hosts from one place.")
    .usage("COMMAND [OPTIONS]")
    .version(parts.version, "-v, --version", "print the version")
    .helpOption("-h, --help", "print help, with examples")
    .addOption(new Option("--server <url>").hideHelp())
    .addOption(new Option("--ca <file>").hideHelp())
    .addOption(new Option("--key-file <path>").hideHelp())
    .addOption(new Option("--json").hideHelp())
    .enablePositionalOptions()
    .exitOverride()
    .configureHelp({ helpWidth: environment.columns ?? 100, subcommandTerm: (command) => command.name() })
    .configureOutput({
      writeOut: (text) => void environment.stdout.write(text),
      writeErr: (text) => void environment.stderr.write(text),
      outputError: (text) => writeUsageError(text, args, environment),
      getOutHasColors: () => wantsColours(environment),
      getErrHasColors: () => wantsColours(environment, environment.isErrorTTY),
    })
    .addHelpText("after", examples);
  const groups: readonly [heading: string, commands: readonly AddCommand[]][] = [
    ["On this machine:", parts.localCommands ?? []],
    ["Containers:", clientCommands],
    ["The fleet:", fleetCommands],
  ];
  for (const [heading, commands] of groups) {
    program.commandsGroup(heading);
    commands.forEach((add) => add(program, line));
  }
  return program.commandsGroup("More:").helpCommand(true);
}

function exitCodeOf(error: unknown, args: readonly string[], environment: Environment): number {
  if (error instanceof InvalidArgumentError) {
    writeUsageError(error.message, args, environment);
    return usageFailure;
  }
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? 0 : usageFailure;
  }
  if (environment.signal.aborted) {
    return interrupted;
  }
  writeError(environment, error, wantsJson(args));
  return failure;
}

function writeUsageError(text: string, args: readonly string[], environment: Environment): void {
  const message = text.replace(/^error: /, "").trim();
  if (wantsJson(args)) {
    const error = { reason: "USAGE", message, metadata: {}, violations: [] };
    environment.stderr.write(formatJsonLine({ error }));
    return;
  }
  // Commander's suggestions come on a line of their own, which is fine to keep.
  const lines = message.split("\n").map(escapeText).join("\n  ");
  const path = message.startsWith("unknown command")
    ? []
    : args.slice(0, 1).filter((arg) => /^[a-z]+$/.test(arg));
  environment.stderr.write(`fairlead: ${lines}\n  See \`${["fairlead", ...path, "--help"].join(" ")}\`.\n`);
}

function wantsJson(args: readonly string[]): boolean {
  return args.includes("--json");
}

const examples = `
Examples:
  fairlead up                          try it out: a control plane and an agent on this machine
  fairlead ps                          what runs, on all hosts
  fairlead stop web                    wherever "web" is
  fairlead create --start --name web nginx
  fairlead logs -f web                 what it writes
  fairlead exec -it web sh             a shell in it
  fairlead events --follow             what happens

Settings: FAIRLEAD_SERVER, FAIRLEAD_API_KEY, FAIRLEAD_KEY_FILE, FAIRLEAD_DATA, FAIRLEAD_TOKEN, NO_COLOR.
`;
