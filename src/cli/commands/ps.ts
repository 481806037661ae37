import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import { ContainerSchema } from "../../gen/fairlead/container/v1/container_pb.js";
import type { Container } from "../../gen/fairlead/container/v1/container_pb.js";
import { containerFilterFrom, parseContainerFilter, runningStates } from "../grammar/container-filter.ts";
import { collect } from "../grammar/key-value.ts";
import { wholeNumber } from "../grammar/number.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { containerMeaning, containerPorts, containerStatus, cut } from "../output/container-text.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";
import { agoInWords } from "../output/times.ts";
import { allPages, largestPage } from "../pages.ts";

/** What `ps` can be told. */
export interface PsOptions {
  readonly all?: boolean;
  readonly quiet?: boolean;
  /** False with --no-trunc. */
  readonly trunc?: boolean;
  readonly filter?: (readonly [key: string, value: string])[];
  readonly host?: string;
  readonly last?: number;
}

/** `fairlead ps`: the containers of the whole fleet. */
export function addPsCommand(parent: Command, line: CommandLine): void {
  const command = parent
    .command("ps")
    .alias("ls")
    .summary("list the containers of the fleet")
    .description("Lists the running containers of all hosts, or those that the filters name.")
    .option("-a, --all", "all containers, not only those that run")
    .option("-q, --quiet", "ids only")
    .option("--no-trunc", "do not shorten ids and commands")
    .option("-f, --filter <key=value>", "host, state, name, image or label", collect(parseContainerFilter))
    .option("--host <host>", "only this host, by name or id")
    .option("-n, --last <count>", "the newest ones, whatever they do", wholeNumber(1, 100_000))
    .addHelpText("after", examples);
  addClientOptions(command).action(clientAction<PsOptions>(line, printContainers));
}

/** Lists containers as `ps` does. */
export async function printContainers(invocation: Invocation, options: PsOptions): Promise<void> {
  const { containers, asOfMs } = await findContainers(invocation, options);
  if (invocation.json) {
    invocation.printJson(containers.map((container) => messageToJson(ContainerSchema, container)));
  } else if (options.quiet === true) {
    invocation.print(containers.map(({ id }) => `${escapeText(cutId(id, options))}\n`).join(""));
  } else {
    const rows = containers.map((container) => rowOf(container, asOfMs, options, invocation));
    invocation.print(formatTable(head, rows));
  }
}

const head = ["HOST", "CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];

async function findContainers({ client, call, environment }: Invocation, options: PsOptions) {
  const written = containerFilterFrom(options.filter ?? []);
  const states = options.all === true || options.last !== undefined ? [] : [...runningStates];
  const filter = {
    ...written,
    hosts: options.host === undefined ? written.hosts : [...written.hosts, options.host],
    states: written.states.length > 0 ? written.states : states,
  };
  const containers: Container[] = [];
  let asOfMs = environment.clock.now();
  const fetch = (pageToken: string) =>
    client.containers.listContainers({ ...filter, pageSize: largestPage, pageToken }, call);
  for await (const page of allPages(fetch)) {
    containers.push(...page.containers);
    asOfMs = page.asOfTime === undefined ? asOfMs : timestampMs(page.asOfTime);
  }
  return { containers: options.last === undefined ? containers : newest(containers, options.last), asOfMs };
}

function newest(containers: readonly Container[], count: number): Container[] {
  return containers.toSorted((one, other) => createdMs(other) - createdMs(one)).slice(0, count);
}

function createdMs({ createdTime }: Container): number {
  return createdTime === undefined ? 0 : timestampMs(createdTime);
}

function rowOf(container: Container, asOfMs: number, options: PsOptions, { paint }: Invocation): string[] {
  const offline = container.host?.online === false;
  const command = escapeText(options.trunc === false ? container.command : cut(container.command, 20));
  const status = containerStatus(container, asOfMs);
  const seen = offline ? `, seen ${agoInWords(container.observedTime, asOfMs) || "earlier"}` : "";
  return [
    escapeText(container.host?.name ?? "") + (offline ? paint("bad", " (offline)") : ""),
    escapeText(cutId(container.id, options)),
    escapeText(container.image),
    `"${command}"`,
    agoInWords(container.createdTime, asOfMs),
    paint(offline ? "faint" : containerMeaning(container), status + seen),
    containerPorts(container.ports),
    escapeText(container.name),
  ];
}

function cutId(id: string, { trunc }: PsOptions): string {
  return trunc === false ? id : id.slice(0, 12);
}

const examples = `
Examples:
  fairlead ps                                     what runs, on all hosts
  fairlead ps -a --host web-1                     everything on one host
  fairlead ps -f state=exited -f label=team=shop  several filters must all hold
  fairlead stop $(fairlead ps -q -f image=nginx)  ids for another command
`;
