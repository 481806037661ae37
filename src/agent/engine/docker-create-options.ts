import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  type ContainerSpec,
  type HealthCheck,
  MountSpec_Type,
  PortBinding_Protocol,
  type ResourceLimits,
  type RestartPolicy,
} from "../../gen/fairlead/container/v1/container_spec_pb.js";
import type { DockerRestartPolicy } from "./docker-json.ts";
import { restartPolicyName, restartRetries } from "./restart-policy.ts";

/** What Docker is told to create: for the container, for its host, and for its network. */
export interface DockerCreateOptions {
  readonly HostConfig: object;
  readonly NetworkingConfig?: object;
  readonly [member: string]: unknown;
}

/** The body of Docker's POST /containers/create. The container is put into the first of its networks only. */
export function createOptionsFromSpec(spec: ContainerSpec): DockerCreateOptions {
  return {
    Image: spec.image,
    ...given("Cmd", spec.command),
    ...given("Entrypoint", spec.entrypoint),
    Env: Object.entries(spec.environment).map(([name, value]) => `${name}=${value}`),
    Labels: spec.labels,
    ExposedPorts: Object.fromEntries(spec.ports.map((port) => [portKey(port), {}])),
    ...given("Hostname", spec.hostname),
    ...given("User", spec.user),
    ...given("WorkingDir", spec.workingDirectory),
    Tty: spec.tty,
    OpenStdin: spec.stdinOpen,
    // Else the input could never end: Docker would take the end of it for a wish to hear nothing more.
    StdinOnce: spec.stdinOpen && !spec.tty,
    ...given("StopSignal", spec.stopSignal),
    ...(spec.stopGracePeriod && { StopTimeout: wholeSeconds(spec.stopGracePeriod) }),
    ...(spec.healthCheck && { Healthcheck: healthCheckFrom(spec.healthCheck) }),
    HostConfig: hostConfigFrom(spec),
    ...(spec.networks[0] !== undefined && {
      NetworkingConfig: { EndpointsConfig: { [spec.networks[0]]: {} } },
    }),
  };
}

function hostConfigFrom(spec: ContainerSpec): object {
  return {
    PortBindings: portBindingsFrom(spec.ports),
    Mounts: spec.mounts.map((mount) => ({
      Type: mountTypes[mount.type] ?? "",
      ...given("Source", mount.source),
      Target: mount.target,
      ReadOnly: mount.readOnly,
    })),
    ...given("NetworkMode", spec.networks[0] ?? ""),
    ...(spec.restartPolicy && { RestartPolicy: restartPolicyFrom(spec.restartPolicy) }),
    ...(spec.limits && limitsFrom(spec.limits)),
    AutoRemove: spec.autoRemove,
    // Left out when it is not asked for, because the engine may have been told to do it always.
    ...(spec.init && { Init: true }),
    ReadonlyRootfs: spec.readOnly,
    Privileged: spec.privileged,
  };
}

const mountTypes: Readonly<Record<number, string>> = {
  [MountSpec_Type.BIND]: "bind",
  [MountSpec_Type.VOLUME]: "volume",
  [MountSpec_Type.TMPFS]: "tmpfs",
};

const protocols: Readonly<Record<number, string>> = {
  [PortBinding_Protocol.UDP]: "udp",
  [PortBinding_Protocol.SCTP]: "sctp",
};

/** How Docker names a port, for example "80/tcp". */
export function portKey(port: ContainerSpec["ports"][number]): string {
  return `${port.containerPort}/${protocols[port.protocol] ?? "tcp"}`;
}

function portBindingsFrom(ports: ContainerSpec["ports"]): object {
  const bindings: Record<string, object[]> = {};
  for (const port of ports) {
    (bindings[portKey(port)] ??= []).push({
      HostIp: port.hostIp,
      HostPort: port.hostPort === 0 ? "" : `${port.hostPort}`,
    });
  }
  return bindings;
}

/** Docker's restart policy. */
export function restartPolicyFrom(policy: RestartPolicy): DockerRestartPolicy {
  return { Name: restartPolicyName(policy), MaximumRetryCount: restartRetries(policy) };
}

function limitsFrom(limits: ResourceLimits): object {
  return {
    Memory: Number(limits.memoryBytes),
    NanoCpus: limits.milliCpus * 1_000_000,
    ...(limits.pids > 0 && { PidsLimit: limits.pids }),
    CpuShares: limits.cpuShares,
  };
}

function healthCheckFrom(check: HealthCheck): object {
  return {
    Test: check.disabled ? ["NONE"] : check.command.length > 0 ? ["CMD", ...check.command] : [],
    Interval: nanoseconds(check.interval),
    Timeout: nanoseconds(check.timeout),
    StartPeriod: nanoseconds(check.startPeriod),
    Retries: check.retries,
  };
}

/** Docker's zero is "as the image says, else the default". */
function nanoseconds(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1e9 + duration.nanos;
}

function wholeSeconds(duration: Duration): number {
  return Number(duration.seconds) + (duration.nanos > 0 ? 1 : 0);
}

/** A member that is left out when it is empty: to Docker an empty one would say something. */
function given(key: string, value: string | readonly string[]): object {
  return value.length > 0 ? { [key]: value } : {};
}
