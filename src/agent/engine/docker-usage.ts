import type { DockerStats } from "./docker-json.ts";
import type { ContainerUsage } from "./engine-usage.ts";

const largestUint64 = 2n ** 64n - 1n;

/**
 * What Docker's sample of a container says, counted as `docker stats` counts it. Undefined: the container does not run, for which Docker sends a
 * sample of zeros from the year 1.
 */
export function usageFromDocker(stats: DockerStats): ContainerUsage | undefined {
  const timeMs = Date.parse(stats.read ?? "");
  const { cpu_stats: cpu, memory_stats: memory } = stats;
  if (!(timeMs > 0)) return undefined;
  const networks = Object.values(stats.networks ?? {});
  return {
    timeMs,
    cpuTotalNs: whole(cpu?.cpu_usage?.total_usage),
    cpuSystemNs: whole(cpu?.system_cpu_usage),
    cpuCount: cpu?.online_cpus || (cpu?.cpu_usage?.percpu_usage?.length ?? 0),
    memoryBytes: whole((memory?.usage ?? 0) - cacheOf(memory)),
    memoryLimitBytes: whole(memory?.limit),
    networkReceivedBytes: whole(sum(networks.map((network) => network?.rx_bytes))),
    networkSentBytes: whole(sum(networks.map((network) => network?.tx_bytes))),
    blockReadBytes: transferred(stats, "r"),
    blockWrittenBytes: transferred(stats, "w"),
    pids: Number(whole(stats.pids_stats?.current)),
  };
}

// The first name is that of cgroup v1, the other that of v2.
function cacheOf(memory: DockerStats["memory_stats"]): number {
  const { usage = 0, stats } = memory ?? {};
  for (const cache of [stats?.["total_inactive_file"], stats?.["inactive_file"]]) {
    if (cache !== undefined && cache < usage) return cache;
  }
  return 0;
}

// "Read" is of cgroup v1, "read" of v2.
function transferred({ blkio_stats: block }: DockerStats, letter: "r" | "w"): bigint {
  const entries = block?.io_service_bytes_recursive ?? [];
  return whole(
    sum(entries.filter(({ op = "" }) => op.toLowerCase().startsWith(letter)).map(({ value }) => value)),
  );
}

function sum(values: readonly (number | undefined)[]): number {
  return values.reduce<number>((total, value) => total + (value ?? 0), 0);
}

function whole(value: number | null | undefined): bigint {
  if (value === null || value === undefined || !(value > 0) || !Number.isFinite(value)) return 0n;
  const rounded = BigInt(Math.round(value));
  return rounded > largestUint64 ? largestUint64 : rounded;
}
