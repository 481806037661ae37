import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Command, InvalidArgumentError } from "commander";
import { FleetError, isReason } from "../../domain/errors.ts";
import type {
  StreamLogsRequestSchema,
  StreamLogsResponse,
} from "../../gen/fairlead/container/v1/log_service_pb.js";
import { parseContainer } from "../grammar/container-reference.ts";
import { collect } from "../grammar/key-value.ts";
import { type Moment, momentBefore, parseMoment } from "../grammar/moment.ts";
import { wholeNumber } from "../grammar/number.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { followOverLosses } from "../lost-connection.ts";
import { LogPrinter } from "../output/log-printer.ts";

/** What `logs` can be told. */
interface LogsOptions {
  readonly follow?: boolean;
  readonly followRestarts?: boolean;
  readonly tail?: number | "all";
  readonly since?: Moment;
  readonly until?: Moment;
  readonly timestamps?: boolean;
  readonly host?: string;
  readonly label?: string[];
  readonly hostLabel?: string[];
  readonly all?: boolean;
  readonly grep?: string;
  readonly fixedStrings?: boolean;
  readonly ignoreCase?: boolean;
  readonly invertMatch?: boolean;
}

type Request = MessageInitShape<typeof StreamLogsRequestSchema>;

const mostLines = 10_000_000;

/** `fairlead logs`: what containers have written, of one or of many. */
export function addLogsCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("logs")
    .summary("show what containers write, of one or of many")
    .description(
      "Shows the log of a container, or those of several side by side, each line with where it is from.",
    )
    .argument("[container...]", "NAME, ID or HOST/NAME; several, or none with -l or --host")
    .option("-f, --follow", "go on with what is written from now on")
    .option(
      "--follow-restarts",
      "with -f: go on when a container is started again, or another takes its name",
    )
    .option("-n, --tail <lines>", "only the last lines before now, or all", parseTail)
    .option("--since <moment>", 'from then on: "10m", or "2026-01-31T12:00:00Z"', parseMoment)
    .option("--until <moment>", "up to then", parseMoment)
    .option("-t, --timestamps", "begin each line with its time")
    .option("--host <host>", "on this host, by name or id")
    .option("-l, --label <key[=value]>", "containers that have this label", collect(String))
    .option("--host-label <key[=value]>", "containers of hosts that have this label", collect(String))
    .option("-a, --all", "with -l or --host: also containers that do not run")
    .option("--grep <pattern>", "only lines that match, found out at the host (a regular expression of RE2)")
    .option("-F, --fixed-strings", "with --grep: the pattern is a text")
    .option("-i, --ignore-case", "with --grep: capital and small letters are the same")
    .option("--invert-match", "with --grep: the lines that do not match")
    .addHelpText("after", examples);
  addClientOptions(command).action(clientAction<LogsOptions>(line, printLogs));
}

async function printLogs(
  invocation: Invocation,
  options: LogsOptions,
  names: readonly string[],
): Promise<void> {
  const { client, call, environment } = invocation;
  const request = requestFrom(options, names, environment.clock.now());
  const printer = new LogPrinter(invocation, {
    timestamps: options.timestamps === true,
    several: request.selector !== undefined,
  });
  const cursors = new Map<string, string>();
  const read = async () => {
    const from = { ...request, cursors: [...cursors.values()] };
    for await (const { message } of client.logs.streamLogs(from, call)) {
      await print(printer, message, invocation);
      if (message.case === "batch" && message.value.cursor !== "") {
        cursors.set(message.value.source?.containerId ?? "", message.value.cursor);
      }
    }
    return true;
  };
  await followOverLosses(environment, {
    read,
    hasBegun: () => options.follow === true && cursors.size > 0,
    onLost: () =>
      invocation.hint("The connection is lost; going on from here as soon as there is one again."),
  });
  await printer.end();
}

async function print(
  printer: LogPrinter,
  message: StreamLogsResponse["message"],
  invocation: Invocation,
): Promise<void> {
  switch (message.case) {
    case "batch":
      await printer.batch(message.value);
      return;
    case "gap":
      printer.gap(message.value);
      return;
    case "end": {
      const { source, reason, message: why } = message.value;
      if (reason === "") return;
      const subject = `${source?.host?.name}/${source?.containerName}`;
      invocation.fail(new FleetError(isReason(reason) ? reason : "OPERATION_FAILED", why), subject);
      return;
    }
    case undefined:
      return;
  }
}

function requestFrom(options: LogsOptions, names: readonly string[], nowMs: number): Request {
  const { follow = false, followRestarts = false, tail, since, until } = options;
  if (followRestarts && !follow) {
    throw new InvalidArgumentError("--follow-restarts is of use with --follow only.");
  }
  return {
    ...targetFrom(options, names),
    ...matchFrom(options),
    follow,
    followRestarts,
    ...(tail === undefined || tail === "all" ? {} : { tail }),
    ...(since === undefined ? {} : { sinceTime: momentBefore(since, nowMs) }),
    ...(until === undefined ? {} : { untilTime: momentBefore(until, nowMs) }),
  };
}

function targetFrom(
  options: LogsOptions,
  names: readonly string[],
): Pick<Request, "container" | "host" | "selector"> {
  const { host, label = [], hostLabel = [], all = false } = options;
  const references = names.map((name) => parseContainer(name, host));
  const [only] = references;
  const isSelected = label.length > 0 || hostLabel.length > 0;
  if (only !== undefined && references.length === 1 && !isSelected) return only;
  const hosts = [
    ...new Set([...(host === undefined ? [] : [host]), ...references.map((one) => one.host)]),
  ].filter((one) => one !== "");
  if (references.length === 0 && hosts.length === 0 && !isSelected) {
    throw new InvalidArgumentError("Name a container, or choose several with -l, --host-label or --host.");
  }
  const containers = references.map(({ container }) => container);
  // Whoever names a container wants its log, also when it has ended.
  const includeStopped = all || containers.length > 0;
  return { selector: { containers, hosts, labels: label, hostLabels: hostLabel, includeStopped } };
}

function matchFrom({ grep, fixedStrings, ignoreCase, invertMatch }: LogsOptions): Pick<Request, "match"> {
  if (grep === undefined) {
    if (fixedStrings === true || ignoreCase === true || invertMatch === true) {
      throw new InvalidArgumentError("-F, -i and --invert-match are of use with --grep only.");
    }
    return {};
  }
  const pattern = { case: fixedStrings === true ? ("text" as const) : ("regex" as const), value: grep };
  return { match: { pattern, ignoreCase: ignoreCase === true, invert: invertMatch === true } };
}

function parseTail(text: string): number | "all" {
  return text === "all" ? text : wholeNumber(0, mostLines)(text);
}

const examples = `
Examples:
  fairlead logs web                            all that is kept
  fairlead logs -f --tail 100 host-1/web       the last lines, and what comes
  fairlead logs -f -l app=shop --grep ' 5\\d\\d '  several containers, errors only
  fairlead logs --since 10m --host host-1      everything that runs on one host
`;
