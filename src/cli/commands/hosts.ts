import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import { HostSchema } from "../../gen/fairlead/host/v1/host_pb.js";
import type { Host } from "../../gen/fairlead/host/v1/host_pb.js";
import { addHostsBansCommand } from "./hosts-bans.ts";
import { addHostsDfCommand } from "./hosts-df.ts";
import { addHostsDiagnoseCommand } from "./hosts-diagnose.ts";
import { addHostsGetCommand } from "./hosts-get.ts";
import { addHostsLabelCommand } from "./hosts-label.ts";
import { addHostsRenameCommand } from "./hosts-rename.ts";
import { addHostsRotateKeyCommand } from "./hosts-rotate-key.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";
import type { Paint } from "../output/paint.ts";
import { formatTable } from "../output/table.ts";
import { agoInWords } from "../output/times.ts";
import { collectItems, largestPage } from "../pages.ts";
import { settleInOrder } from "../settle-in-order.ts";

interface ListOptions {
  readonly quiet?: boolean;
}

interface RemoveOptions {
  readonly ban?: boolean;
}

/** `fairlead hosts`: the machines of the fleet. */
export function addHostsCommand(parent: Command, line: CommandLine): void {
  const hosts = parent
    .command("hosts")
    .summary("list, label, rename and remove the hosts of the fleet")
    .description("Lists the hosts of the fleet. One comes into being when its agent enrols with a token.")
    .addHelpText("after", examples);
  const list = hosts
    .command("ls", { isDefault: true })
    .summary("list hosts")
    .option("-q, --quiet", "ids only");
  addClientOptions(list).action(clientAction<ListOptions>(line, printHosts));
  const remove = hosts
    .command("rm")
    .summary("delete hosts and their agents' identities")
    .argument("<host...>", "name or id")
    .option("--ban", "ban their engines as well: no token enrols them again until the ban is lifted");
  addClientOptions(remove).action(clientAction<RemoveOptions>(line, removeHosts));
  addHostsGetCommand(hosts, line);
  addHostsDfCommand(hosts, line);
  addHostsDiagnoseCommand(hosts, line);
  addHostsLabelCommand(hosts, line);
  addHostsRenameCommand(hosts, line);
  addHostsRotateKeyCommand(hosts, line);
  addHostsBansCommand(hosts, line);
}

async function printHosts(invocation: Invocation, options: ListOptions): Promise<void> {
  const { client, call, environment } = invocation;
  const hosts = await collectItems(
    (pageToken) => client.hosts.listHosts({ pageSize: largestPage, pageToken }, call),
    (page) => page.hosts,
  );
  if (invocation.json) {
    invocation.printJson(hosts.map((host) => messageToJson(HostSchema, host)));
  } else if (options.quiet === true) {
    invocation.print(hosts.map(({ id }) => `${escapeText(id)}\n`).join(""));
  } else {
    const nowMs = environment.clock.now();
    invocation.print(
      formatTable(
        head,
        hosts.map((host) => rowOf(host, nowMs, invocation.paint)),
      ),
    );
  }
}

async function removeHosts(
  invocation: Invocation,
  { ban = false }: RemoveOptions,
  names: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  const removed = await settleInOrder(names, (host) => client.hosts.deleteHost({ host, ban }, call), {
    onAnswer: (_answer, index) => {
      if (!invocation.json) {
        invocation.print(`${escapeText(names[index] ?? "")}\n`);
      }
    },
    onFailure: (error, index) => invocation.fail(error, names.length > 1 ? names[index] : undefined),
  });
  if (invocation.json) {
    invocation.printJson(
      removed.flatMap(({ host }) => (host === undefined ? [] : [messageToJson(HostSchema, host)])),
    );
  }
}

const head = ["HOST", "STATE", "RUNNING", "CONTAINERS", "ENGINE", "OPERATING SYSTEM", "AGENT", "LAST SEEN"];

function rowOf(host: Host, nowMs: number, paint: Paint): string[] {
  const { facts } = host;
  const engine = facts?.simulated === true ? "simulated" : (facts?.engineVersion ?? "");
  return [
    escapeText(host.name),
    stateOf(host, paint),
    `${host.runningContainerCount}`,
    `${host.containerCount}`,
    escapeText(engine),
    escapeText(facts?.operatingSystem ?? ""),
    escapeText(host.agentVersion),
    host.online ? "Now" : agoInWords(host.lastSeenTime, nowMs),
  ];
}

// A clock that is further off than this is shown, in seconds.
const tolerableOffsetSeconds = 5;

function stateOf({ online, engineAvailable, clockOffset }: Host, paint: Paint): string {
  if (!online) {
    return paint("bad", "offline");
  }
  const offsetSeconds = clockOffset === undefined ? 0 : durationMs(clockOffset) / 1_000;
  if (engineAvailable && Math.abs(offsetSeconds) > tolerableOffsetSeconds) {
    return paint("busy", `online, clock ${clockInWords(offsetSeconds)}`);
  }
  return engineAvailable ? paint("good", "online") : paint("busy", "online, engine down");
}

function clockInWords(offsetSeconds: number): string {
  return `${Math.abs(Math.round(offsetSeconds))} s ${offsetSeconds > 0 ? "ahead" : "behind"}`;
}

const examples = `
Examples:
  fairlead hosts            who is there, and who is not
  fairlead hosts get web-2  what is known of one, and what its owner allows there
  fairlead hosts rm web-2   forget a host; its containers are left alone
  fairlead hosts label web-2 site=berlin env-   add a label, and take one away
  fairlead hosts rename web-2 db-1
`;
