/**
 * The parts of Docker's JSON that are read here. Everything is optional: engines differ in what they leave out, and null
 * stands for an empty list or map.
 */
type Maybe<Value> = Value | null | undefined;

/** GET /containers/{id}/json */
export interface DockerInspection {
  readonly Id: string;
  readonly Name?: string;
  readonly Created?: string;
  readonly Path?: string;
  readonly Args?: Maybe<readonly string[]>;
  readonly Image?: string;
  readonly RestartCount?: number;
  readonly State?: Maybe<DockerState>;
  readonly Config?: Maybe<{
    readonly Image?: string;
    readonly Tty?: boolean;
    readonly Labels?: Maybe<Readonly<Record<string, string>>>;
    readonly ExposedPorts?: Maybe<Readonly<Record<string, unknown>>>;
  }>;
  readonly HostConfig?: Maybe<DockerHostConfig>;
  readonly Mounts?: Maybe<readonly DockerMount[]>;
  readonly NetworkSettings?: Maybe<{
    readonly Ports?: Maybe<Readonly<Record<string, Maybe<readonly DockerPortBinding[]>>>>;
    readonly Networks?: Maybe<Readonly<Record<string, Maybe<DockerNetworkEndpoint>>>>;
  }>;
}

/** What a container may do with its host. */
export interface DockerHostConfig {
  readonly Tmpfs?: Maybe<Readonly<Record<string, string>>>;
  readonly AutoRemove?: boolean;
  readonly Memory?: number;
  readonly MemorySwap?: number;
  readonly NanoCpus?: number;
  readonly CpuPeriod?: number;
  readonly CpuQuota?: number;
  readonly CpuShares?: number;
  readonly PidsLimit?: Maybe<number>;
  readonly RestartPolicy?: Maybe<DockerRestartPolicy>;
}

/** When the engine starts a container again. */
export interface DockerRestartPolicy {
  readonly Name?: string;
  readonly MaximumRetryCount?: number;
}

/** GET /containers/{id}/top */
export interface DockerTop {
  readonly Titles?: Maybe<readonly string[]>;
  readonly Processes?: Maybe<readonly (readonly string[])[]>;
}

/** An item of GET /containers/{id}/changes */
export interface DockerChange {
  readonly Path: string;
  /** 0: modified, 1: added, 2: deleted. */
  readonly Kind: number;
}

/** What a container does. */
export interface DockerState {
  readonly Status?: string;
  readonly Running?: boolean;
  readonly Paused?: boolean;
  readonly ExitCode?: number;
  readonly Pid?: number;
  readonly StartedAt?: string;
  readonly FinishedAt?: string;
  readonly Health?: Maybe<{ readonly Status?: string }>;
}

/** Something mounted. */
export interface DockerMount {
  readonly Type?: string;
  readonly Name?: string;
  readonly Source?: string;
  readonly Destination?: string;
  readonly RW?: boolean;
}

/** Where a port is published. */
export interface DockerPortBinding {
  readonly HostIp?: string;
  readonly HostPort?: string;
}

/** A place in a network. */
export interface DockerNetworkEndpoint {
  readonly IPAddress?: string;
  readonly GlobalIPv6Address?: string;
}

/** GET /info */
export interface DockerInfo {
  readonly ID?: string;
  readonly Name?: string;
  readonly OperatingSystem?: string;
  readonly KernelVersion?: string;
  readonly Architecture?: string;
  readonly ServerVersion?: string;
  readonly NCPU?: number;
  readonly MemTotal?: number;
  readonly SystemTime?: string;
  readonly DockerRootDir?: string;
}

/** GET /containers/{id}/stats */
export interface DockerStats {
  readonly read?: string;
  readonly cpu_stats?: Maybe<{
    readonly cpu_usage?: Maybe<{
      readonly total_usage?: number;
      readonly percpu_usage?: Maybe<readonly number[]>;
    }>;
    readonly system_cpu_usage?: number;
    readonly online_cpus?: number;
  }>;
  readonly memory_stats?: Maybe<{
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: Maybe<Readonly<Record<string, number>>>;
  }>;
  readonly networks?: Maybe<
    Readonly<Record<string, Maybe<{ readonly rx_bytes?: number; readonly tx_bytes?: number }>>>
  >;
  readonly blkio_stats?: Maybe<{
    readonly io_service_bytes_recursive?: Maybe<readonly { readonly op?: string; readonly value?: number }[]>;
  }>;
  readonly pids_stats?: Maybe<{ readonly current?: number }>;
}

/** A line of GET /events, its `timeNano` read without loss. */
export interface DockerEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Maybe<Readonly<Record<string, string>>> };
  readonly timeNano?: bigint;
}
