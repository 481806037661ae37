import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import { CircuitState, type Host, type HostPolicy, HostSchema } from "../../gen/fairlead/host/v1/host_pb.js";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";
import { momentInWords } from "../output/times.ts";

/** `fairlead hosts get`: all that is known of one host, also what its owner allows there. */
export function addHostsGetCommand(hosts: Command, line: CommandLine): void {
  const get = hosts
    .command("get")
    .summary("print what is known of a host, and its own policy")
    .argument("<host>", "name or id");
  addClientOptions(get).action(clientAction(line, printHost));
}

async function printHost(invocation: Invocation, _options: object, names: readonly string[]): Promise<void> {
  const { client, call } = invocation;
  const { host } = await client.hosts.getHost({ host: names[0] ?? "" }, call);
  if (host === undefined) {
    return;
  }
  if (invocation.json) {
    invocation.printJson(messageToJson(HostSchema, host));
    return;
  }
  const lines = [...linesOf(host), ...policyLines(host.policy)];
  const width = Math.max(...lines.map(([title]) => title.length));
  invocation.print(lines.map(([title, text]) => `${title.padEnd(width)}   ${escapeText(text)}\n`).join(""));
}

type Line = readonly [title: string, text: string];

function linesOf(host: Host): Line[] {
  const { facts } = host;
  const labels = Object.entries(host.labels).map(([key, value]) => `${key}=${value}`);
  const size = `${facts?.cpuCount ?? 0} CPUs, ${Number(facts?.memoryBytes ?? 0n) / 2 ** 20} MiB`;
  const all: Line[] = [
    ["NAME", host.name],
    ["ID", host.id],
    ["STATE", stateOf(host)],
    ["LABELS", labels.toSorted().join(", ")],
    ["CONTAINERS", `${host.containerCount}, ${host.runningContainerCount} running`],
    ["ENGINE", facts?.simulated === true ? "simulated" : (facts?.engineVersion ?? "")],
    ["ENGINE ID", facts?.engineId ?? ""],
    ["HOST NAME", facts?.hostname ?? ""],
    ["OPERATING SYSTEM", facts?.operatingSystem ?? ""],
    ["KERNEL", facts?.kernelVersion ?? ""],
    ["ARCHITECTURE", facts?.architecture ?? ""],
    ["SIZE", (facts?.cpuCount ?? 0) === 0 ? "" : size],
    ["AGENT", host.agentVersion],
    ["AGENT ID", host.agentId],
    ["CERTIFICATE UNTIL", momentInWords(host.agentCertificateExpireTime)],
    ["ENROLLED", momentInWords(host.createTime)],
    ["CONNECTED", momentInWords(host.connectTime)],
    ["LAST SEEN", momentInWords(host.lastSeenTime)],
  ];
  return all.filter(([, text]) => text !== "");
}

function stateOf({ online, engineAvailable, circuitState, clockOffset }: Host): string {
  if (!online) {
    return "offline";
  }
  return [
    "online",
    ...(engineAvailable ? [] : ["engine down"]),
    ...(circuitState === CircuitState.OPEN ? ["circuit open"] : []),
    ...(circuitState === CircuitState.HALF_OPEN ? ["circuit half-open"] : []),
    ...(clockOffset === undefined ? [] : [`clock off by ${durationMs(clockOffset)} ms`]),
  ].join(", ");
}

function policyLines(policy: HostPolicy | undefined): Line[] {
  if (policy === undefined) {
    return [["POLICY", "none: the host allows everything"]];
  }
  const force = policy.digest === "" ? "none in force" : `in force, SHA-256 ${policy.digest}`;
  return [
    ["POLICY", policy.readOnly ? `${force}, read only` : force],
    ...(policy.problem === "" ? [] : [["POLICY PROBLEM", policy.problem] as const]),
    ...policy.summary.map((rule): Line => ["", rule]),
  ];
}
