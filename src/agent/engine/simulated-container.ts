import type { Clock } from "../../resilience/clock.ts";
import type { ContainerSpec } from "../../gen/fairlead/container/v1/container_spec_pb.js";
import { MountSpec_Type } from "../../gen/fairlead/container/v1/container_spec_pb.js";
import { createOptionsFromSpec, portKey } from "./docker-create-options.ts";
import type { DockerHostConfig, DockerInspection, DockerPortBinding } from "./docker-json.ts";
import { SimulatedConsole } from "./simulated-console.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import type { SimulatedExec } from "./simulated-exec.ts";
import { SimulatedFiles } from "./simulated-files.ts";
import type { SimulatedImage } from "./simulated-images.ts";
import type { SimulatedRun } from "./simulated-run.ts";

/** What never changes of a simulated container. */
export interface SimulatedContainerOrigin {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly image: SimulatedImage;
  /** Milliseconds since the epoch. */
  readonly createTime: number;
  /** Its address while it runs. */
  readonly ipAddress: string;
  readonly clock: Clock;
}

/** A container of the simulated engine. It does nothing by itself: the engine changes it. */
export class SimulatedContainer {
  readonly origin: SimulatedContainerOrigin;
  readonly console: SimulatedConsole;
  /** The processes that were started in it besides its own. */
  readonly execs = new Set<SimulatedExec>();
  readonly files = new SimulatedFiles();
  #disk: SimulatedDisk | undefined;
  name: string;
  /** The process, while there is one. */
  run: SimulatedRun | undefined;
  paused = false;
  /** How long it was paused in this run and is not any more, and since when it is. */
  idleMs = 0;
  pauseTime = 0;
  exitCode = 0;
  startTime: number | undefined;
  finishTime: number | undefined;
  /** What of its configuration is otherwise than it was created. */
  updates: DockerHostConfig = {};
  /** Where its ports are published now. */
  bindings: Record<string, DockerPortBinding[]> = {};

  constructor(name: string, origin: SimulatedContainerOrigin) {
    this.name = name;
    this.origin = origin;
    const { spec, clock } = origin;
    this.console = new SimulatedConsole({
      clock,
      command: this.command,
      labels: spec.labels,
      environment: this.environment,
      files: this.files,
      tty: spec.tty,
      stdinOpen: spec.stdinOpen,
      signal: (number) => this.run?.signal(number),
    });
  }

  /** What its processes find in their environment. */
  get environment(): Readonly<Record<string, string>> {
    const { id, spec } = this.origin;
    return {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOSTNAME: spec.hostname || id.slice(0, 12),
      ...spec.environment,
    };
  }

  /** What is on its disk. Made when it is first asked for: few are. */
  get disk(): SimulatedDisk {
    this.#disk ??= new SimulatedDisk(this.id, this.origin.createTime, (path) => this.files.touch(path));
    return this.#disk;
  }

  get id(): string {
    return this.origin.id;
  }

  /** Entrypoint and arguments. Empty when neither the container nor its image says any. */
  get command(): readonly string[] {
    const { spec, image } = this.origin;
    const replaced = spec.command.length > 0 || spec.entrypoint.length > 0;
    return [...spec.entrypoint, ...(replaced ? spec.command : image.command)];
  }

  /** 0: no limit. */
  get memoryLimitBytes(): bigint {
    return BigInt(this.updates.Memory ?? this.origin.spec.limits?.memoryBytes ?? 0n);
  }

  get status(): "created" | "running" | "paused" | "exited" {
    if (this.run !== undefined) {
      return this.paused ? "paused" : "running";
    }
    return this.startTime === undefined ? "created" : "exited";
  }

  /** What Docker would say of it, as far as it goes. */
  inspect(): DockerInspection {
    const { id, spec, image, createTime } = this.origin;
    const { HostConfig, NetworkingConfig: _, ...config } = createOptionsFromSpec(spec);
    const [path = "", ...args] = this.command;
    return {
      Id: id,
      Created: rfc3339(createTime),
      Path: path,
      Args: args,
      State: {
        Status: this.status,
        Running: this.run !== undefined,
        Paused: this.paused,
        ExitCode: this.exitCode,
        StartedAt: rfc3339(this.startTime),
        FinishedAt: rfc3339(this.finishTime),
      },
      Image: image.id,
      Name: `/${this.name}`,
      RestartCount: 0,
      HostConfig: { ...HostConfig, MemorySwap: 2 * Number(spec.limits?.memoryBytes ?? 0n), ...this.updates },
      Mounts: this.#mounts(),
      Config: {
        ...config,
        ExposedPorts: Object.fromEntries(
          [...image.exposedPorts.map((port) => `${port}/tcp`), ...spec.ports.map(portKey)].map(
            (port) => [port, {}] as const,
          ),
        ),
      },
      NetworkSettings: { Ports: this.run === undefined ? {} : this.bindings, Networks: this.#networks() },
    };
  }

  #mounts(): DockerInspection["Mounts"] {
    const { id, spec } = this.origin;
    return spec.mounts.map((mount, index) => ({
      ...(mount.type === MountSpec_Type.BIND
        ? { Type: "bind", Source: mount.source }
        : mount.type === MountSpec_Type.TMPFS
          ? { Type: "tmpfs", Source: "" }
          : { Type: "volume", Name: mount.source || anonymousVolume(id, index) }),
      Destination: mount.target,
      RW: !mount.readOnly,
    }));
  }

  #networks(): Record<string, { readonly IPAddress: string }> {
    const names = this.origin.spec.networks.length > 0 ? this.origin.spec.networks : ["bridge"];
    const address = (name: string) =>
      this.run === undefined || name === "host" || name === "none" ? "" : this.origin.ipAddress;
    return Object.fromEntries(names.map((name) => [name, { IPAddress: address(name) }]));
  }
}

function anonymousVolume(id: string, index: number): string {
  return `${id.slice(8)}${index.toString(16).padStart(8, "0")}`;
}

/** Go's zero time stands for never. */
function rfc3339(milliseconds: number | undefined): string {
  return milliseconds === undefined ? "0001-01-01T00:00:00Z" : new Date(milliseconds).toISOString();
}
