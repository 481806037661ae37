import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ContainerStatsSchema, HostStatsSchema } from "../../../gen/fairlead/container/v1/stats_pb.js";
import type { ContainerUsage, HostUsage } from "../../engine/engine-usage.ts";

/** The figures of a container, as the schema has them. */
export type ContainerFigures = MessageInitShape<typeof ContainerStatsSchema>;

/** The figures of a host. */
export type HostFigures = MessageInitShape<typeof HostStatsSchema>;

/** Makes figures of readings: whatever is a rate is the difference of one reading to the one before. */
export class UsageMeter {
  #containers: ReadonlyMap<string, ContainerUsage> = new Map();
  #host: HostUsage | undefined;

  /** Takes a reading of everything that runs now, by full id. What was not read the last time has no figures yet; what is not read any more is forgotten. */
  containers(usages: ReadonlyMap<string, ContainerUsage>): Map<string, ContainerFigures> {
    const figures = new Map<string, ContainerFigures>();
    for (const [id, usage] of usages) {
      const before = this.#containers.get(id);
      if (before !== undefined) figures.set(id, figuresOf(usage, before));
    }
    this.#containers = usages;
    return figures;
  }

  /** Takes a reading of the host. Undefined: it is the first. */
  host(usage: HostUsage): HostFigures | undefined {
    const before = this.#host;
    this.#host = usage;
    if (before === undefined) return undefined;
    const { timeMs, cpuBusyMs, cpuTotalMs, ...rest } = usage;
    return {
      ...rest,
      time: timestampFromMs(timeMs),
      cpuPercent: share(cpuBusyMs - before.cpuBusyMs, cpuTotalMs - before.cpuTotalMs) * rest.cpuCount * 100,
    };
  }
}

function figuresOf(usage: ContainerUsage, before: ContainerUsage): ContainerFigures {
  const { timeMs, cpuSystemNs: _, ...rest } = usage;
  return { ...rest, time: timestampFromMs(timeMs), cpuPercent: cpuPercent(usage, before) };
}

/** As `docker stats` has it: the share of the time of all processors, times their number. */
function cpuPercent(usage: ContainerUsage, before: ContainerUsage): number {
  const usedNs = Number(usage.cpuTotalNs - before.cpuTotalNs);
  if (before.cpuSystemNs > 0n && usage.cpuSystemNs > 0n) {
    return share(usedNs, Number(usage.cpuSystemNs - before.cpuSystemNs)) * usage.cpuCount * 100;
  }
  return share(usedNs, (usage.timeMs - before.timeMs) * 1e6) * 100;
}

// A counter that went back began anew, with the container.
function share(part: number, whole: number): number {
  return part > 0 && whole > 0 ? part / whole : 0;
}
