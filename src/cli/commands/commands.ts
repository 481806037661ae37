import { InvalidArgumentError } from "commander";
import type { Command as CommanderCommand } from "commander";
import { isReason } from "../../domain/errors.ts";
import { CommandSchema } from "../../gen/fairlead/command/v1/command_pb.js";
import type { CommandState } from "../../gen/fairlead/command/v1/command_pb.js";
import { parseCommandState } from "../grammar/command-state.ts";
import { collect } from "../grammar/key-value.ts";
import { momentBefore, parseMoment } from "../grammar/moment.ts";
import type { Moment } from "../grammar/moment.ts";
import { wholeNumber } from "../grammar/number.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { formatCommand, formatCommands } from "../output/command-text.ts";
import { messageToJson } from "../output/json.ts";
import { collectItems, largestPage } from "../pages.ts";
import { addFollowCommands } from "./command-follow.ts";

interface ListOptions {
  readonly host?: string;
  readonly container?: string;
  readonly state?: CommandState[];
  readonly reason?: string[];
  readonly caller?: string;
  readonly since?: Moment;
  readonly until?: Moment;
  readonly last?: number;
}

/** `fairlead commands`: what became of what was asked for. */
export function addCommandsCommand(parent: CommanderCommand, line: CommandLine): void {
  const commands = parent
    .command("commands")
    .summary("list, follow and cancel commands, and tell what became of one")
    .description("Everything that was asked for and changes something, newest first.")
    .addHelpText("after", examples);
  const list = commands
    .command("ls", { isDefault: true })
    .summary("list commands, newest first")
    .option("--host <host>", "only this host, by name or id")
    .option("--container <container>", "only this container, by its full id or the name that it had then")
    .option(
      "--state <state>",
      "pending, dispatched, accepted, succeeded, failed, …",
      collect(parseCommandState),
    )
    .option("--reason <reason>", "only those that failed for it, for example NAME_IN_USE", collect(reasonOf))
    .option("--caller <name>", "only those that this caller asked for")
    .option("--since <when>", 'created then or later, for example "10m" or a time', parseMoment)
    .option("--until <when>", "created before then", parseMoment)
    .option("-n, --last <count>", "how many at most (default 100)", wholeNumber(1, 1_000_000));
  addClientOptions(list).action(clientAction<ListOptions>(line, printCommands));
  const get = commands
    .command("get")
    .summary("tell everything of one command")
    .argument("<id>", "the command's id");
  addClientOptions(get).action(clientAction(line, printCommand));
  addFollowCommands(commands, line);
}

async function printCommands(invocation: Invocation, options: ListOptions): Promise<void> {
  const { client, call, environment, paint } = invocation;
  const { since, until, last: limit = 100 } = options;
  const nowMs = environment.clock.now();
  const filter = {
    host: options.host ?? "",
    container: options.container ?? "",
    states: options.state ?? [],
    reasons: options.reason ?? [],
    caller: options.caller ?? "",
    ...(since === undefined ? {} : { createdSinceTime: momentBefore(since, nowMs) }),
    ...(until === undefined ? {} : { createdBeforeTime: momentBefore(until, nowMs) }),
    pageSize: Math.min(limit, largestPage),
  };
  const commands = await collectItems(
    (pageToken) => client.commands.listCommands({ ...filter, pageToken }, call),
    (page) => page.commands,
    limit,
  );
  if (invocation.json) {
    invocation.printJson(commands.map((command) => messageToJson(CommandSchema, command)));
  } else {
    invocation.print(formatCommands(commands, nowMs, paint));
  }
}

async function printCommand(
  invocation: Invocation,
  _options: object,
  [id = ""]: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  const { command } = await client.commands.getCommand({ id }, call);
  if (command === undefined) {
    return;
  }
  if (invocation.json) {
    invocation.printJson(messageToJson(CommandSchema, command));
  } else {
    invocation.print(formatCommand(command));
  }
}

function reasonOf(text: string): string {
  const reason = text.toUpperCase().replaceAll("-", "_");
  if (!isReason(reason)) {
    throw new InvalidArgumentError('Write a reason as errors have it, for example "AGENT_OFFLINE".');
  }
  return reason;
}

const examples = `
Examples:
  fairlead commands --since 1h --state failed --state outcome-unknown
  fairlead stop --queue web             prints an id, also while the host is offline
  fairlead commands wait 0197…          ends with 0 when the command ended well
  fairlead commands cancel 0197…
`;
