import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { ContainerState, HealthState } from "../../gen/fairlead/container/v1/container_pb.js";
import type { Container, Port } from "../../gen/fairlead/container/v1/container_pb.js";
import { escapeText } from "./escape.ts";
import type { Meaning } from "./paint.ts";
import { agoInWords, durationInWords } from "./times.ts";

/** What a container does, in docker's words, for example "Up 5 minutes (healthy)" or "Exited (0) 2 hours ago". */
export function containerStatus(container: Container, nowMs: number): string {
  switch (container.state) {
    case ContainerState.RUNNING:
      return up(container.startedTime, nowMs) + healthWord[container.health];
    case ContainerState.PAUSED:
      return `${up(container.startedTime, nowMs)} (Paused)`;
    case ContainerState.RESTARTING:
      return `Restarting (${container.exitCode}) ${agoInWords(container.finishedTime, nowMs)}`.trimEnd();
    case ContainerState.EXITED:
      return `Exited (${container.exitCode}) ${agoInWords(container.finishedTime, nowMs)}`.trimEnd();
    case ContainerState.CREATED:
      return "Created";
    case ContainerState.REMOVING:
      return "Removal In Progress";
    case ContainerState.DEAD:
      return "Dead";
    case ContainerState.UNSPECIFIED:
      return "Unknown";
    default:
      return `Unknown (${String(container.state)})`;
  }
}

/** The colour that a container's status deserves. */
export function containerMeaning({ state, health }: Container): Meaning {
  if (state === ContainerState.RUNNING) {
    return health === HealthState.UNHEALTHY ? "bad" : health === HealthState.STARTING ? "busy" : "good";
  }
  if (state === ContainerState.DEAD) {
    return "bad";
  }
  return state === ContainerState.EXITED || state === ContainerState.CREATED ? "faint" : "busy";
}

/** Its ports as docker shows them, for example "0.0.0.0:8080-8081->80-81/tcp, 443/tcp". */
export function containerPorts(ports: readonly Port[]): string {
  const runs: Port[][] = [];
  for (const port of ports.toSorted(byPlace)) {
    const run = runs.at(-1);
    if (run !== undefined && follows(run.at(-1), port)) run.push(port);
    else runs.push([port]);
  }
  return escapeText(runs.map(formatRun).join(", "));
}

/** The beginning of a text, with "…" where there was more. */
export function cut(text: string, length: number): string {
  const characters = [...text];
  return characters.length > length ? `${characters.slice(0, length - 1).join("")}…` : text;
}

const healthWord: Readonly<Record<HealthState, string>> = {
  [HealthState.UNSPECIFIED]: "",
  [HealthState.STARTING]: " (health: starting)",
  [HealthState.HEALTHY]: " (healthy)",
  [HealthState.UNHEALTHY]: " (unhealthy)",
};

function up(startedTime: Timestamp | undefined, nowMs: number): string {
  return startedTime === undefined ? "Up" : `Up ${durationInWords(nowMs - timestampMs(startedTime))}`;
}

function byPlace(one: Port, other: Port): number {
  return (
    compare(one.protocol, other.protocol) ||
    compare(one.hostIp, other.hostIp) ||
    one.containerPort - other.containerPort ||
    one.hostPort - other.hostPort
  );
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

function follows(last: Port | undefined, next: Port): boolean {
  return (
    last?.protocol === next.protocol &&
    last.hostIp === next.hostIp &&
    next.containerPort === last.containerPort + 1 &&
    next.hostPort === (last.hostPort === 0 ? 0 : last.hostPort + 1)
  );
}

function formatRun(run: readonly Port[]): string {
  const [first, last] = [run[0], run.at(-1)];
  if (first === undefined || last === undefined) {
    return "";
  }
  const inside = `${range(first.containerPort, last.containerPort)}/${first.protocol || "tcp"}`;
  const ip = first.hostIp.includes(":") ? `[${first.hostIp}]` : first.hostIp || "0.0.0.0";
  return first.hostPort === 0 ? inside : `${ip}:${range(first.hostPort, last.hostPort)}->${inside}`;
}

function range(from: number, to: number): string {
  return from === to ? `${from}` : `${from}-${to}`;
}
