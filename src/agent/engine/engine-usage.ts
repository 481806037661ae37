/** What a container has used up to a moment. Totals count since its start. */
export interface ContainerUsage {
  /** When it was read, in milliseconds since the epoch by the engine's clock. */
  readonly timeMs: number;
  /** Processor time in all, in nanoseconds. */
  readonly cpuTotalNs: bigint;
  /** Processor time of the whole host, in nanoseconds, idle or not. 0: the engine does not tell. */
  readonly cpuSystemNs: bigint;
  /** Processors that it may run on. */
  readonly cpuCount: number;
  /** Without the page cache that can be given back. */
  readonly memoryBytes: bigint;
  /** The host's memory where it has no limit. */
  readonly memoryLimitBytes: bigint;
  readonly networkReceivedBytes: bigint;
  readonly networkSentBytes: bigint;
  readonly blockReadBytes: bigint;
  readonly blockWrittenBytes: bigint;
  /** Processes and threads. */
  readonly pids: number;
}

/** What a host has used up to a moment. */
export interface HostUsage {
  /** When it was read, in milliseconds since the epoch by the host's clock. */
  readonly timeMs: number;
  /** Time that its processors were busy, all together, in milliseconds since some fixed moment. */
  readonly cpuBusyMs: number;
  /** The same, idle or not. */
  readonly cpuTotalMs: number;
  readonly cpuCount: number;
  /** Of the last minute. */
  readonly loadAverage: number;
  /** In use, without what can be given back. */
  readonly memoryBytes: bigint;
  readonly memoryTotalBytes: bigint;
  /** Used on the file system of the engine's data. 0, as below: not known. */
  readonly diskBytes: bigint;
  readonly diskTotalBytes: bigint;
}
