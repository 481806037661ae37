import { memoryBytes } from "./memory.ts";

/** What a process uses, as it is now. */
export interface Usage {
  readonly residentBytes: number;
  /** Processor time since it began, in microseconds. */
  readonly processorMicros: number;
}

/** What every process of a measurement answers about itself. `memory` needs `--expose-gc`. */
export const ownUsage = {
  memory: () => memoryBytes(),
  usage: (): Usage => {
    const { user, system } = process.cpuUsage();
    return { residentBytes: process.memoryUsage.rss(), processorMicros: user + system };
  },
};
