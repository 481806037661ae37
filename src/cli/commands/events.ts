import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { EventSchema } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Event } from "../../gen/fairlead/event/v1/event_pb.js";
import { eventFilterFrom, eventTypeWord, parseEventFilter } from "../grammar/event-filter.ts";
import type { RequestedEventFilter } from "../grammar/event-filter.ts";
import { collect } from "../grammar/key-value.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { followOverLosses } from "../lost-connection.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";
import { momentInWords } from "../output/times.ts";
import { allPages, largestPage } from "../pages.ts";

interface EventsOptions {
  readonly follow?: boolean;
  readonly sinceSequence?: bigint;
  readonly filter?: (readonly [key: string, value: string])[];
}

/** `fairlead events`: what happened, and with --follow what happens. */
export function addEventsCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("events")
    .summary("show what happened, or follow what happens")
    .description("Shows past events, oldest first; with --follow those that happen from now on.")
    .option("-f, --follow", "go on with events as they happen, until Ctrl-C")
    .option(
      "--since-sequence <number>",
      "begin right after this event; 0: with the oldest kept",
      parseSequence,
    )
    .option("--filter <key=value>", "type, host, container or command", collect(parseEventFilter))
    .addHelpText("after", examples);
  addClientOptions(command).action(clientAction<EventsOptions>(line, printEvents));
}

async function printEvents(invocation: Invocation, options: EventsOptions): Promise<void> {
  const filter = eventFilterFrom(options.filter ?? []);
  if (options.follow === true) {
    await followEvents(invocation, filter, options.sinceSequence);
    return;
  }
  const { client, call } = invocation;
  const afterSequence = options.sinceSequence ?? 0n;
  const fetch = (pageToken: string) =>
    client.events.listEvents({ filter, afterSequence, pageSize: largestPage, pageToken }, call);
  for await (const page of allPages(fetch)) {
    for (const event of page.events) {
      printEvent(invocation, event);
    }
  }
}

async function followEvents(
  invocation: Invocation,
  filter: RequestedEventFilter,
  since: bigint | undefined,
): Promise<void> {
  let cursor = since;
  let begun = false;
  const read = async () => {
    for await (const answer of watch(invocation, filter, cursor)) {
      // One alone comes from a control plane that knows no batches.
      const events = answer.event === undefined ? answer.events : [answer.event];
      for (const event of events) printEvent(invocation, event);
      cursor = answer.cursor;
      begun = true;
    }
    return false;
  };
  await followOverLosses(invocation.environment, { read, hasBegun: () => begun });
}

/** As many as the API allows in one message. */
const largestBatch = 256;

function watch({ client, call }: Invocation, filter: RequestedEventFilter, cursor: bigint | undefined) {
  const from = cursor === undefined ? {} : { afterSequence: cursor };
  return client.events.watchEvents({ filter, ...from, maxBatchSize: largestBatch }, call);
}

function printEvent(invocation: Invocation, event: Event): void {
  if (invocation.json) {
    invocation.printJsonLine(messageToJson(EventSchema, event));
  } else {
    invocation.print(`${formatEvent(event, invocation)}\n`);
  }
}

function formatEvent(event: Event, { paint }: Invocation): string {
  const facts: readonly (readonly [string, string])[] = [
    ["host", event.hostName || event.hostId],
    ["container", event.containerName || event.containerId.slice(0, 12)],
    ["command", event.commandId],
    ["by", event.actor],
    ...Object.entries(event.attributes),
  ];
  const written = facts
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}=${quoted(value)}`);
  const head = `${momentInWords(event.eventTime)} ${paint("faint", `#${event.sequence}`)}`;
  return [head, paint("strong", eventTypeWord(event.type)), escapeText(written.join(" "))]
    .join(" ")
    .trimEnd();
}

function quoted(value: string): string {
  return /[\s"=]/.test(value) ? JSON.stringify(value) : value;
}

function parseSequence(text: string): bigint {
  if (!/^\d{1,16}$/.test(text) || BigInt(text) > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new InvalidArgumentError("Write the sequence of an event, for example 42, or 0.");
  }
  return BigInt(text);
}

const examples = `
Examples:
  fairlead events                                      all that is kept
  fairlead events --follow --filter type=container     containers, as they change
  fairlead events --follow --since-sequence 42 --json  go on after event 42, missing none
`;
