import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Command as CommanderCommand } from "commander";
import { FleetError } from "../../domain/errors.ts";
import { CommandSchema, CommandState } from "../../gen/fairlead/command/v1/command_pb.js";
import type { Command } from "../../gen/fairlead/command/v1/command_pb.js";
import { commandStateWord } from "../grammar/command-state.ts";
import { parseDuration } from "../grammar/duration.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { followOverLosses } from "../lost-connection.ts";
import { errorOfCommand, formatTransition, hasEnded } from "../output/command-text.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";
import { settleInOrder } from "../settle-in-order.ts";

interface WaitOptions {
  /** Milliseconds. */
  readonly timeout?: number;
}

/** How long one call waits; the next one goes on. */
const waitMs = 30_000;

/** `fairlead commands watch`, `wait` and `cancel`. */
export function addFollowCommands(commands: CommanderCommand, line: CommandLine): void {
  const watch = commands
    .command("watch")
    .summary("show each step of a command until its end; ends as the command does")
    .argument("<id>", "the command's id");
  addClientOptions(watch).action(clientAction(line, watchCommand));
  const wait = commands
    .command("wait")
    .summary("wait for a command's end; ends as the command does")
    .argument("<id>", "the command's id")
    .option("--timeout <duration>", "how long to wait (default: until its end)", parseDuration);
  addClientOptions(wait).action(clientAction<WaitOptions>(line, waitForCommand));
  const cancel = commands
    .command("cancel")
    .summary("cancel commands; what has started on its host is asked to stop")
    .argument("<id...>", "the commands' ids")
    .option("--timeout <duration>", "how long to wait for the agent's word (default 10s)", parseDuration);
  addClientOptions(cancel).action(clientAction<WaitOptions>(line, cancelCommands));
}

async function watchCommand(
  invocation: Invocation,
  _options: object,
  [id = ""]: readonly string[],
): Promise<void> {
  const { client, call, environment } = invocation;
  let shown = 0;
  const read = async () => {
    for await (const { command } of client.commands.watchCommand({ id }, call)) {
      if (command === undefined) continue;
      shown = printProgress(invocation, command, shown);
      if (!hasEnded(command)) continue;
      tellEnd(invocation, command);
      return true;
    }
    return false;
  };
  await followOverLosses(environment, { read, hasBegun: () => shown > 0 });
}

function printProgress(invocation: Invocation, command: Command, shown: number): number {
  if (invocation.json) {
    invocation.printJsonLine(messageToJson(CommandSchema, command));
  } else {
    const news = command.transitions.slice(shown);
    invocation.print(news.map((transition) => formatTransition(transition, invocation.paint)).join(""));
  }
  return Math.max(1, command.transitions.length);
}

async function waitForCommand(
  invocation: Invocation,
  { timeout }: WaitOptions,
  [id = ""]: readonly string[],
): Promise<void> {
  const { client, call, environment } = invocation;
  const { clock } = environment;
  const end = timeout === undefined ? Number.POSITIVE_INFINITY : clock.monotonic() + timeout;
  for (;;) {
    const leftMs = Math.max(0, end - clock.monotonic());
    const limit = durationFromMs(Math.ceil(Math.min(waitMs, leftMs)));
    const { command } = await client.commands.waitCommand({ id, timeout: limit }, call);
    if (command !== undefined && hasEnded(command)) {
      if (invocation.json) invocation.printJson(messageToJson(CommandSchema, command));
      else if (command.state === CommandState.SUCCEEDED) invocation.print("succeeded\n");
      tellEnd(invocation, command);
      return;
    }
    if (clock.monotonic() >= end) throw stillOpen(id, command);
  }
}

function stillOpen(id: string, command: Command | undefined): FleetError {
  const where = command === undefined ? "open" : commandStateWord(command.state);
  return new FleetError("DEADLINE_EXCEEDED", `the command is still ${where}`, {
    metadata: { command_id: id },
  });
}

async function cancelCommands(
  invocation: Invocation,
  { timeout }: WaitOptions,
  ids: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  const limit = timeout === undefined ? {} : { timeout: durationFromMs(timeout) };
  const several = ids.length > 1;
  const cancel = async (id: string) => {
    const { command } = await client.commands.cancelCommand({ id, ...limit }, call);
    if (command === undefined || !wasCancelled(command)) throw notCancelled(id, command);
    return command;
  };
  const cancelled = await settleInOrder(ids, cancel, {
    onAnswer: (_command, index) => {
      if (!invocation.json) invocation.print(`${escapeText(ids[index] ?? "")}\n`);
    },
    onFailure: (error, index) => invocation.fail(error, several ? ids[index] : undefined),
  });
  if (invocation.json) {
    invocation.printJson(cancelled.map((command) => messageToJson(CommandSchema, command)));
  }
}

// One that had started ends as failed with this reason, because something of it may have been done.
function wasCancelled({ state, reason }: Command): boolean {
  return state === CommandState.CANCELLED || reason === "CANCELLED";
}

function notCancelled(id: string, command: Command | undefined): FleetError {
  const metadata = { command_id: id };
  if (command === undefined || !hasEnded(command)) {
    const words = "the agent was asked to stop it and has not answered yet";
    return new FleetError("DEADLINE_EXCEEDED", words, { metadata });
  }
  const words = `it was too late to cancel it: it ended as ${commandStateWord(command.state)}`;
  return new FleetError("CONFLICT", words, { metadata });
}

/** A bad end is the end of whoever waited for it, too. */
function tellEnd(invocation: Invocation, command: Command): void {
  const error = errorOfCommand(command);
  if (error !== undefined) invocation.fail(error);
}
