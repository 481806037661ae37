import { realpath } from "node:fs/promises";
import {
  type ContainerSpec,
  MountSpec_Type,
  PortBinding_Protocol,
} from "../../../gen/fairlead/container/v1/container_spec_pb.js";
import { imageMatches } from "./image-pattern.ts";
import type { CreateRules, PortProtocol, PortRange } from "./policy.ts";

/** A rule that refuses something. */
export interface BrokenRule {
  /** Its path in the file, for example "create.bind_mounts". */
  readonly rule: string;
  /** What it refuses, in words. */
  readonly what: string;
}

/** The first rule that a new container breaks. Undefined: none. */
export async function brokenCreateRule(
  rules: CreateRules,
  spec: ContainerSpec,
): Promise<BrokenRule | undefined> {
  if (rules.privileged === "deny" && spec.privileged) {
    return { rule: "create.privileged", what: "a privileged container" };
  }
  const network = rules.hostNetwork === "deny" ? spec.networks.find(isForeignNetwork) : undefined;
  if (network !== undefined) return { rule: "create.host_network", what: `the network ${quoted(network)}` };
  if (rules.images?.some((pattern) => imageMatches(pattern, spec.image)) === false) {
    return { rule: "create.images", what: `the image ${quoted(spec.image)}` };
  }
  const port = spec.ports.find((published) => !isAllowedPort(rules.publishedPorts, published));
  if (port !== undefined) {
    const number = port.hostPort === 0 ? "any free port" : `port ${port.hostPort}/${protocolOf(port)}`;
    return { rule: "create.published_ports", what: `${number} of the host` };
  }
  for (const { type, source } of spec.mounts) {
    if (type !== MountSpec_Type.BIND || (await isAllowedPath(rules.bindMounts, source))) continue;
    return { rule: "create.bind_mounts", what: `the host's path ${quoted(source)}` };
  }
  return undefined;
}

/** The host's own network, or that of another container, which may be the host's. */
function isForeignNetwork(network: string): boolean {
  return network === "host" || network.startsWith("container:");
}

const protocols: Readonly<Partial<Record<PortBinding_Protocol, PortProtocol>>> = {
  [PortBinding_Protocol.UDP]: "udp",
  [PortBinding_Protocol.SCTP]: "sctp",
};

type Port = ContainerSpec["ports"][number];

function protocolOf({ protocol }: Port): PortProtocol {
  return protocols[protocol] ?? "tcp";
}

function isAllowedPort(allowed: "allow" | "deny" | readonly PortRange[], port: Port): boolean {
  if (typeof allowed === "string") return allowed === "allow";
  return allowed.some(
    ({ first, last, protocol }) =>
      first <= port.hostPort &&
      port.hostPort <= last &&
      (protocol === undefined || protocol === protocolOf(port)),
  );
}

async function isAllowedPath(allowed: CreateRules["bindMounts"], source: string): Promise<boolean> {
  if (typeof allowed === "string") return allowed === "allow";
  // With a link in between "a/link/.." is not "a".
  if (source.split("/").includes("..")) return false;
  const path = source.replaceAll(/\/{2,}|\/(?:\.\/)+/g, "/");
  for (const prefix of allowed) {
    if (isBelow(path, prefix) && isBelow(await resolved(path), await resolved(prefix))) return true;
  }
  return false;
}

function isBelow(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(prefix === "/" ? "/" : `${prefix}/`);
}

// The engine follows symbolic links. What is not there, or not there for an agent in a container, has none to follow.
async function resolved(path: string): Promise<string> {
  return await realpath(path).catch(() => path);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
