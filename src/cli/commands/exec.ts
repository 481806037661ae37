import type { Command } from "commander";
import { readEnvironmentFile } from "../grammar/environment-file.ts";
import type { Variable } from "../grammar/environment-file.ts";
import { parseContainer } from "../grammar/container-reference.ts";
import { collect, parseKeyValue } from "../grammar/key-value.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { environmentOf } from "../container-spec.ts";
import { talk } from "../talk.ts";

interface ExecOptions {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly Variable[];
  readonly envFile?: readonly (readonly Variable[])[];
  readonly user?: string;
  readonly workdir?: string;
  readonly privileged?: boolean;
  readonly host?: string;
}

/** `fairlead exec`: a process in a container, with this terminal. */
export function addExecCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("exec")
    .summary("run a command in a container, with -it a shell")
    .description(
      "Runs a command in a running container, and ends as it does. It ends with this one: whoever closes the terminal ends it.",
    )
    .argument("<container>", "NAME, ID or HOST/NAME")
    .argument("<command...>", "the command and its arguments")
    // What comes after the container belongs to the command, as with docker.
    .passThroughOptions()
    .option("-i, --interactive", "pass on what is typed, or piped in")
    .option("-t, --tty", "give it a terminal")
    .option(
      "-e, --env <name=value>",
      "an environment variable; NAME alone: as it is here",
      collect(parseKeyValue),
    )
    .option("--env-file <file>", "a file of them", collect(readEnvironmentFile))
    .option("-u, --user <user>", "who it runs as: name, uid or uid:gid")
    .option("-w, --workdir <path>", "where it starts")
    .option("--privileged", "give it all the host's powers; rarely right")
    .option("--host <host>", "the host, by name or id; HOST/NAME says the same")
    .addHelpText("after", examples);
  addClientOptions(command).action(clientAction<ExecOptions>(line, execute));
}

async function execute(
  invocation: Invocation,
  options: ExecOptions,
  [container = "", ...words]: readonly string[],
): Promise<void> {
  const { tty = false, interactive = false } = options;
  const process = {
    command: words,
    environment: environmentOf(options, invocation.environment.env),
    user: options.user ?? "",
    workingDirectory: options.workdir ?? "",
    privileged: options.privileged ?? false,
  };
  const target = parseContainer(container, options.host);
  invocation.endWith(await talk(invocation, { ...target, process, tty, stdin: interactive }));
}

const examples = `
Examples:
  fairlead exec web ls /etc                  its output, and its exit code
  fairlead exec -it host-1/web sh            a shell
  pg_dump shop | fairlead exec -i db psql    what is piped in
`;
