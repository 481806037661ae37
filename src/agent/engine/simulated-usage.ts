import type { ContainerUsage, HostUsage } from "./engine-usage.ts";
import type { SimulatedContainer } from "./simulated-container.ts";

/** The processors and the memory of a simulated host. */
export const simulatedMachine = { cpuCount: 4, memoryBytes: 8n * 1024n ** 3n } as const;

/** What a simulated container would have used: a steady load that its id decides. Undefined: it does not run. */
export function simulatedUsage(container: SimulatedContainer, nowMs: number): ContainerUsage | undefined {
  const { run, paused, pauseTime, idleMs, startTime, origin, execs } = container;
  if (run === undefined || startTime === undefined) return undefined;
  // From 0.4 % to 100 % of a processor.
  const load = (Number.parseInt(origin.id.slice(0, 2), 16) + 1) / 256;
  const livedMs = Math.max(0, (paused ? pauseTime : nowMs) - startTime - idleMs);
  const memoryLimitBytes = container.memoryLimitBytes || simulatedMachine.memoryBytes;
  const kilobytes = BigInt(Math.floor((livedMs / 1000) * load));
  return {
    timeMs: nowMs,
    cpuTotalNs: BigInt(Math.round(livedMs * load * 1e6)),
    cpuSystemNs: BigInt(Math.round(nowMs * 1e6)) * BigInt(simulatedMachine.cpuCount),
    cpuCount: simulatedMachine.cpuCount,
    memoryBytes: (memoryLimitBytes * BigInt(Math.round(load * 100))) / 1_000n,
    memoryLimitBytes,
    networkReceivedBytes: kilobytes * 4_096n,
    networkSentBytes: kilobytes * 1_024n,
    blockReadBytes: 1_048_576n,
    blockWrittenBytes: kilobytes * 512n,
    pids: 1 + execs.size,
  };
}

/** What a simulated host would use, as the sum of what its containers use. */
export function simulatedHostUsage(containers: readonly SimulatedContainer[], nowMs: number): HostUsage {
  const usages = containers
    .map((container) => simulatedUsage(container, nowMs))
    .filter((usage) => usage !== undefined);
  const { cpuCount, memoryBytes } = simulatedMachine;
  const usedBytes = usages.reduce((total, usage) => total + usage.memoryBytes, memoryBytes / 16n);
  return {
    timeMs: nowMs,
    cpuBusyMs: usages.reduce((total, usage) => total + Number(usage.cpuTotalNs) / 1e6, 0),
    cpuTotalMs: nowMs * cpuCount,
    cpuCount,
    loadAverage: usages.length / 4,
    memoryBytes: usedBytes > memoryBytes ? memoryBytes : usedBytes,
    memoryTotalBytes: memoryBytes,
    diskBytes: 20n * 1024n ** 3n,
    diskTotalBytes: 100n * 1024n ** 3n,
  };
}
