import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { FleetError, isReason } from "../../domain/errors.ts";
import type { ContainerSelectorSchema } from "../../gen/fairlead/container/v1/container_selector_pb.js";
import {
  ContainerSampleSchema,
  type GetStatsResponse,
  type HostFailure,
  HostSampleSchema,
  type StreamStatsResponse,
} from "../../gen/fairlead/container/v1/stats_service_pb.js";
import { linkSignal } from "../../resilience/signals.ts";
import { parseContainer } from "../grammar/container-reference.ts";
import { collect } from "../grammar/key-value.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { followOverLosses } from "../lost-connection.ts";
import { formatJsonLine, messageToJson } from "../output/json.ts";
import { LiveScreen } from "../output/live-screen.ts";
import { formatStats, type StatsOfHost } from "../output/stats-table.ts";
import { writeWhenRoom } from "../output/write-when-room.ts";

/** What `stats` can be told. */
interface StatsOptions {
  readonly all?: boolean;
  /** False with --no-stream. */
  readonly stream?: boolean;
  /** False with --no-trunc. */
  readonly trunc?: boolean;
  readonly host?: string;
  readonly label?: string[];
  readonly hosts?: boolean;
}

type Request = {
  readonly selector: MessageInitShape<typeof ContainerSelectorSchema>;
  readonly includeHosts: boolean;
};

const drawMs = 500;

/** `fairlead stats`: what containers use, as it changes or at this moment. */
export function addStatsCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("stats")
    .summary("show what containers use, as it changes")
    .description(
      "Shows the processor time, memory, network and disk that containers use: on a terminal as a table that is kept up to date until Ctrl-C, otherwise once.",
    )
    .argument("[container...]", "NAME, ID or HOST/NAME; none: all that run")
    .option("-a, --all", "also containers that do not run")
    .option("--no-stream", "measure once")
    .option("--no-trunc", "do not shorten names")
    .option("--host <host>", "on this host, by name or id")
    .option("-l, --label <key[=value]>", "containers that have this label", collect(String))
    .option("--hosts", "the hosts themselves as well")
    .addHelpText("after", examples);
  addClientOptions(command).action(clientAction<StatsOptions>(line, printStats));
}

async function printStats(
  invocation: Invocation,
  options: StatsOptions,
  names: readonly string[],
): Promise<void> {
  const request = await requestFrom(invocation, options, names);
  const follows = options.stream !== false;
  if (follows && invocation.json) {
    await untilEnd(invocation, request, (response) => printLines(invocation, response));
  } else if (follows && invocation.environment.isTTY) {
    await drawUntilEnd(invocation, request, options);
  } else {
    await printOnce(invocation, request, options);
  }
}

async function printOnce(invocation: Invocation, request: Request, options: StatsOptions): Promise<void> {
  const { client, call, json, paint } = invocation;
  const answer = await client.stats.getStats(request, call);
  if (json) await printLines(invocation, answer);
  else invocation.print(formatStats(byHost(answer), { paint, trunc: options.trunc !== false }));
  for (const failure of answer.failures) invocation.fail(errorOf(failure), failure.host?.name);
}

async function drawUntilEnd(invocation: Invocation, request: Request, options: StatsOptions): Promise<void> {
  const { environment, paint } = invocation;
  const { clock } = environment;
  const screen = new LiveScreen(environment);
  const hosts = new Map<string, StatsOfHost>();
  const drawing = linkSignal(environment.signal);
  const draw = () => screen.show(formatStats([...hosts.values()], { paint, trunc: options.trunc !== false }));
  const drawn = (async () => {
    for (;;) {
      draw();
      await clock.sleep(drawMs, drawing.signal);
    }
  })().catch(() => undefined);
  try {
    await untilEnd(invocation, request, async (response) => keep(hosts, response));
  } finally {
    drawing.abort(new Error("it has ended"));
    drawing.release();
    await drawn;
    draw();
  }
}

/** Until the person ends it, which is a good end, over lost connections. */
async function untilEnd(
  invocation: Invocation,
  request: Request,
  take: (response: StreamStatsResponse) => Promise<void>,
): Promise<void> {
  const { client, call, environment } = invocation;
  let begun = false;
  const read = async () => {
    for await (const response of client.stats.streamStats(request, call)) {
      begun = true;
      await take(response);
    }
    return false;
  };
  await followOverLosses(environment, { read, hasBegun: () => begun });
}

function keep(hosts: Map<string, StatsOfHost>, response: StreamStatsResponse): void {
  const { source, containers, host, failure } = response;
  if (source === undefined) return;
  if (failure?.reason === "HOST_NOT_FOUND") hosts.delete(source.id);
  else hosts.set(source.id, { name: source.name, containers, host, failure });
}

function byHost({ containers, hosts }: GetStatsResponse): StatsOfHost[] {
  const ids = new Set([...containers, ...hosts].map(({ host }) => host?.id));
  return [...ids].map((id) => {
    const own = containers.filter(({ host }) => host?.id === id);
    const sample = hosts.find(({ host }) => host?.id === id);
    const { name = "" } = (sample ?? own[0])?.host ?? {};
    return { name, containers: own, host: sample, failure: undefined };
  });
}

async function printLines(
  { environment }: Invocation,
  answer: StreamStatsResponse | GetStatsResponse,
): Promise<void> {
  const hosts = "hosts" in answer ? answer.hosts : answer.host === undefined ? [] : [answer.host];
  const lines = [
    ...hosts.map((sample) => messageToJson(HostSampleSchema, sample)),
    ...answer.containers.map((sample) => messageToJson(ContainerSampleSchema, sample)),
  ].map(formatJsonLine);
  if ("failure" in answer && answer.failure !== undefined) {
    const { host, reason, message } = answer.failure;
    environment.stderr.write(formatJsonLine({ error: { reason, message, subject: host?.name ?? "" } }));
  }
  if (lines.length > 0) await writeWhenRoom(environment.stdout, lines.join(""), environment.signal);
}

// Names are looked up first, so that one that is not there is told, and each is found on its own host.
async function requestFrom(
  { client, call }: Invocation,
  { all = false, host, hosts: includeHosts = false, label = [] }: StatsOptions,
  names: readonly string[],
): Promise<Request> {
  const found = await Promise.all(
    names.map((name) => client.containers.getContainer(parseContainer(name, host), call)),
  );
  const named = found.map(({ container }) => container).filter((container) => container !== undefined);
  const own = new Set(named.map((container) => container.host?.id ?? ""));
  const selector = {
    containers: named.map(({ id }) => id),
    hosts: host !== undefined && named.length === 0 ? [host] : [...own],
    labels: label,
    // Whoever names a container wants to see it, also when it does not run.
    includeStopped: all || named.length > 0,
  };
  return { selector, includeHosts };
}

function errorOf({ reason, message }: HostFailure): FleetError {
  return new FleetError(isReason(reason) ? reason : "OPERATION_FAILED", message);
}

const examples = `
Examples:
  fairlead stats                         all that run, kept up to date until Ctrl-C
  fairlead stats --no-stream host-1/web  one container, once
  fairlead stats -l app=shop --hosts     several, and their hosts
  fairlead stats --json                  one JSON document a line
`;
