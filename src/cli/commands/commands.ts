import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Command as CommanderCommand } from "commander";
import { CommandSchema, CommandState } from "../../gen/fairlead/command/v1/command_pb.js";
import type { Command } from "../../gen/fairlead/command/v1/command_pb.js";
import { collect } from "../grammar/key-value.ts";
import { wholeNumber } from "../grammar/number.ts";
import { commandStateWord, parseCommandState } from "../grammar/command-state.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";
import type { Meaning } from "../output/paint.ts";
import { formatTable } from "../output/table.ts";
import { agoInWords, measuredInWords, momentInWords } from "../output/times.ts";
import { collectItems, largestPage } from "../pages.ts";

interface ListOptions {
  readonly host?: string;
  readonly container?: string;
  readonly state?: CommandState[];
  readonly last?: number;
}

/** `fairlead commands`: what became of what was asked for. */
export function addCommandsCommand(parent: CommanderCommand, line: CommandLine): void {
  const commands = parent
    .command("commands")
    .summary("list commands and tell what became of one")
    .description("Everything that was asked for and changes something, newest first.");
  const list = commands
    .command("ls", { isDefault: true })
    .summary("list commands, newest first")
    .option("--host <host>", "only this host, by name or id")
    .option("--container <name>", "only this container, exactly as the command named it")
    .option(
      "--state <state>",
      "pending, dispatched, accepted, succeeded, failed, …",
      collect(parseCommandState),
    )
    .option("-n, --last <count>", "how many at most (default 100)", wholeNumber(1, 1_000_000));
  addClientOptions(list).action(clientAction<ListOptions>(line, printCommands));
  const get = commands
    .command("get")
    .summary("tell everything of one command")
    .argument("<id>", "the command's id");
  addClientOptions(get).action(clientAction(line, printCommand));
}

async function printCommands(invocation: Invocation, options: ListOptions): Promise<void> {
  const { client, call, environment } = invocation;
  const limit = options.last ?? 100;
  const filter = {
    host: options.host ?? "",
    container: options.container ?? "",
    states: options.state ?? [],
    pageSize: Math.min(limit, largestPage),
  };
  const commands = await collectItems(
    (pageToken) => client.commands.listCommands({ ...filter, pageToken }, call),
    (page) => page.commands,
    limit,
  );
  if (invocation.json) {
    invocation.printJson(commands.map((command) => messageToJson(CommandSchema, command)));
    return;
  }
  const nowMs = environment.clock.now();
  invocation.print(
    formatTable(
      ["COMMAND ID", "HOST", "OPERATION", "CONTAINER", "STATE", "REASON", "CREATED", "TOOK"],
      commands.map((command) => rowOf(command, nowMs, invocation)),
    ),
  );
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
    return;
  }
  const facts = factsOf(command).filter(([, value]) => value !== "");
  invocation.print(facts.map(([name, value]) => `${`${name}:`.padEnd(14)}${escapeText(value)}\n`).join(""));
}

function rowOf(command: Command, nowMs: number, { paint }: Invocation): string[] {
  return [
    escapeText(command.id),
    escapeText(command.hostName),
    escapeText(command.operation),
    // A whole id would make the table twice as wide; `get` and --json tell it.
    escapeText(command.container.replace(/^([0-9a-f]{12})[0-9a-f]{52}$/, "$1")),
    paint(meaningOf(command.state), commandStateWord(command.state)),
    escapeText(command.reason),
    agoInWords(command.createTime, nowMs),
    command.duration === undefined ? "" : measuredInWords(durationMs(command.duration)),
  ];
}

function meaningOf(state: CommandState): Meaning {
  if (state === CommandState.SUCCEEDED) {
    return "good";
  }
  return state === CommandState.FAILED || state === CommandState.OUTCOME_UNKNOWN ? "bad" : "busy";
}

function factsOf(command: Command): [name: string, value: string][] {
  const { duration, timeout } = command;
  const metadata = Object.entries(command.metadata).map(([key, value]) => `${key}=${value}`);
  return [
    ["Command", command.id],
    ["Operation", command.operation],
    ["Host", command.hostName],
    ["Container", command.container],
    ["State", commandStateWord(command.state)],
    ["Reason", command.reason],
    ["Message", command.message],
    ["Metadata", metadata.join(" ")],
    ["Changed", command.state === CommandState.SUCCEEDED ? (command.changed ? "yes" : "no") : ""],
    ["Caller", command.caller],
    ["Request id", command.requestId],
    ["Attempt", command.attempt === 0 ? "" : `${command.attempt}, session epoch ${command.sessionEpoch}`],
    ["Timeout", timeout === undefined ? "" : measuredInWords(durationMs(timeout))],
    ["Created", momentInWords(command.createTime)],
    ["Sent", momentInWords(command.dispatchTime)],
    ["Accepted", momentInWords(command.acceptTime)],
    ["Ended", momentInWords(command.endTime)],
    ["Took", duration === undefined ? "" : measuredInWords(durationMs(duration))],
  ];
}
