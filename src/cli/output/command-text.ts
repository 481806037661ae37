import { durationMs } from "@bufbuild/protobuf/wkt";
import { FleetError, isReason } from "../../domain/errors.ts";
import { CommandState } from "../../gen/fairlead/command/v1/command_pb.js";
import type { Command, CommandTransition } from "../../gen/fairlead/command/v1/command_pb.js";
import { commandStateWord } from "../grammar/command-state.ts";
import { escapeText } from "./escape.ts";
import type { Meaning, Paint } from "./paint.ts";
import { formatTable } from "./table.ts";
import { agoInWords, measuredInWords, momentInWords } from "./times.ts";

/** Commands as a table. */
export function formatCommands(commands: readonly Command[], nowMs: number, paint: Paint): string {
  return formatTable(
    ["COMMAND ID", "HOST", "OPERATION", "CONTAINER", "STATE", "REASON", "CREATED", "TOOK"],
    commands.map((command) => [
      escapeText(command.id),
      escapeText(command.hostName),
      escapeText(command.operation),
      escapeText(containerOf(command)),
      paint(meaningOf(command.state), commandStateWord(command.state)),
      escapeText(command.reason),
      agoInWords(command.createTime, nowMs),
      command.duration === undefined ? "" : measuredInWords(durationMs(command.duration)),
    ]),
  );
}

/** Everything of one command, a line a fact; what is empty is left out. */
export function formatCommand(command: Command): string {
  const facts = factsOf(command).filter(([, value]) => value !== "");
  return facts.map(([name, value]) => `${`${name}:`.padEnd(14)}${escapeText(value)}\n`).join("");
}

/** One step of a command's life, with a line break. */
export function formatTransition(
  { state, transitionTime, attempt, sessionEpoch }: CommandTransition,
  paint: Paint,
): string {
  const sending = attempt === 0 ? "" : ` (attempt ${attempt}, session epoch ${sessionEpoch})`;
  return `${momentInWords(transitionTime)} ${paint(meaningOf(state), commandStateWord(state))}${sending}\n`;
}

/** Whether a command never changes again. */
export function hasEnded({ endTime }: Command): boolean {
  return endTime !== undefined;
}

/** The error that a command ended with, as whoever waited for it was told. Undefined: it ended well, or has not. */
export function errorOfCommand(command: Command): FleetError | undefined {
  const { id, state, reason, message, metadata } = command;
  if (!hasEnded(command) || state === CommandState.SUCCEEDED) {
    return undefined;
  }
  const words = message || `the command ended as ${commandStateWord(state)}`;
  return new FleetError(isReason(reason) ? reason : "OPERATION_FAILED", words, {
    metadata: { ...metadata, command_id: id },
  });
}

function meaningOf(state: CommandState): Meaning {
  if (state === CommandState.SUCCEEDED) {
    return "good";
  }
  return state === CommandState.FAILED || state === CommandState.OUTCOME_UNKNOWN ? "bad" : "busy";
}

// A whole id would make the table twice as wide; `get` and --json tell it.
function containerOf({ container, containerName }: Command): string {
  return (containerName || container).replace(/^([0-9a-f]{12})[0-9a-f]{52}$/, "$1");
}

function factsOf(command: Command): [name: string, value: string][] {
  const { container, containerName, duration, timeout } = command;
  const metadata = Object.entries(command.metadata).map(([key, value]) => `${key}=${value}`);
  const ended = hasEnded(command);
  return [
    ["Command", command.id],
    ["Operation", command.operation],
    ["Host", command.hostName],
    ["Container", containerName || container],
    ["Container id", container === containerName || containerName === "" ? "" : container],
    ["State", commandStateWord(command.state)],
    ["Reason", command.reason],
    ["Message", command.message],
    ["Metadata", metadata.join(" ")],
    ["Changed", command.state === CommandState.SUCCEEDED ? (command.changed ? "yes" : "no") : ""],
    ["Look at", command.state === CommandState.OUTCOME_UNKNOWN ? whatToLookAt(command) : ""],
    ["Caller", command.caller],
    ["Request id", command.requestId],
    ["Attempt", command.attempt === 0 ? "" : `${command.attempt}, session epoch ${command.sessionEpoch}`],
    ["Timeout", timeout === undefined ? "" : measuredInWords(durationMs(timeout))],
    ["Created", momentInWords(command.createTime)],
    ["Sent", momentInWords(command.dispatchTime)],
    ["Accepted", momentInWords(command.acceptTime)],
    ["Expires", ended ? "" : momentInWords(command.expireTime)],
    ["Cancelling", !ended && command.cancelRequested ? "yes" : ""],
    ["Ended", momentInWords(command.endTime)],
    ["Took", duration === undefined ? "" : measuredInWords(durationMs(duration))],
  ];
}

function whatToLookAt({ hostName, container, containerName }: Command): string {
  const name = containerName || container;
  return name === "" ? `fairlead ps -a --host ${hostName}` : `fairlead inspect ${hostName}/${name}`;
}
