import type {
  ContainerSample,
  HostFailure,
  HostSample,
} from "../../gen/fairlead/container/v1/stats_service_pb.js";
import { cut } from "./container-text.ts";
import { escapeText } from "./escape.ts";
import type { Paint } from "./paint.ts";
import { binarySize, decimalSize } from "./sizes.ts";
import { formatTable } from "./table.ts";

/** What one host said last. */
export interface StatsOfHost {
  readonly name: string;
  readonly containers: readonly ContainerSample[];
  readonly host: HostSample | undefined;
  readonly failure: HostFailure | undefined;
}

const head = ["HOST", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"];
const longestName = 40;

/** A table in the look of `docker stats`, ordered by host and name, with what could not be asked below it. */
export function formatStats(
  hosts: readonly StatsOfHost[],
  { paint, trunc }: { readonly paint: Paint; readonly trunc: boolean },
): string {
  const ordered = hosts.toSorted((one, other) => (one.name < other.name ? -1 : 1));
  const shown = (text: string) => escapeText(trunc ? cut(text, longestName) : text);
  const rows = ordered.flatMap(({ host, containers }) => [
    ...(host === undefined ? [] : [hostRow(host, shown)]),
    ...containers.map((sample) => containerRow(sample, shown)),
  ]);
  const failures = ordered
    .map(({ failure }) => failure)
    .filter((failure) => failure !== undefined)
    .map(({ host, message, reason }) =>
      paint("bad", `${escapeText(host?.name ?? "")}: ${escapeText(message)} (${escapeText(reason)})`),
    );
  return formatTable(head, rows).concat(failures.map((line) => `${line}\n`).join(""));
}

type Shown = (text: string) => string;

function containerRow({ host, containerName, stats }: ContainerSample, shown: Shown): string[] {
  const { cpuPercent = 0, memoryBytes = 0n, memoryLimitBytes = 0n, pids = 0 } = stats ?? {};
  return [
    shown(host?.name ?? ""),
    shown(containerName),
    percent(cpuPercent),
    ...memory(memoryBytes, memoryLimitBytes),
    `${decimalSize(stats?.networkReceivedBytes ?? 0)} / ${decimalSize(stats?.networkSentBytes ?? 0)}`,
    `${decimalSize(stats?.blockReadBytes ?? 0)} / ${decimalSize(stats?.blockWrittenBytes ?? 0)}`,
    `${pids}`,
  ];
}

function hostRow({ host, stats }: HostSample, shown: Shown): string[] {
  const { cpuPercent = 0, memoryBytes = 0n, memoryTotalBytes = 0n } = stats ?? {};
  return [
    shown(host?.name ?? ""),
    "(the host)",
    percent(cpuPercent),
    ...memory(memoryBytes, memoryTotalBytes),
    "",
    "",
    "",
  ];
}

function memory(used: bigint, limit: bigint): [string, string] {
  return [
    `${binarySize(used)} / ${binarySize(limit)}`,
    percent(limit === 0n ? 0 : (Number(used) / Number(limit)) * 100),
  ];
}

function percent(value: number): string {
  return `${value.toFixed(2)}%`;
}
