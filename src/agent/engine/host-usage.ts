import { statfs } from "node:fs/promises";
import { cpus, freemem, loadavg, totalmem } from "node:os";
import type { Clock } from "../../resilience/clock.ts";
import type { HostUsage } from "./engine-usage.ts";

/** What this machine uses, with the file system that a folder is on; one that cannot be seen from here counts as not known. */
export async function readHostUsage(folder: string | undefined, clock: Clock): Promise<HostUsage> {
  const processors = cpus();
  let cpuTotalMs = 0;
  let cpuIdleMs = 0;
  for (const { times } of processors) {
    cpuTotalMs += times.user + times.nice + times.sys + times.idle + times.irq;
    cpuIdleMs += times.idle;
  }
  const memoryTotalBytes = BigInt(totalmem());
  return {
    timeMs: clock.now(),
    cpuBusyMs: cpuTotalMs - cpuIdleMs,
    cpuTotalMs,
    cpuCount: processors.length,
    loadAverage: loadavg()[0] ?? 0,
    memoryBytes: memoryTotalBytes - BigInt(freemem()),
    memoryTotalBytes,
    ...(await diskOf(folder)),
  };
}

async function diskOf(folder: string | undefined): Promise<Pick<HostUsage, "diskBytes" | "diskTotalBytes">> {
  try {
    if (folder === undefined || folder === "") return unknownDisk;
    const { bsize, blocks, bfree } = await statfs(folder, { bigint: true });
    return { diskBytes: (blocks - bfree) * bsize, diskTotalBytes: blocks * bsize };
  } catch {
    // The agent runs in a container, or the engine on another machine.
    return unknownDisk;
  }
}

const unknownDisk = { diskBytes: 0n, diskTotalBytes: 0n };
