import { ContainerState, HealthState } from "../../gen/fairlead/container/v1/container_pb.js";
import { FleetError } from "../../domain/errors.ts";
import { withinBounds } from "./container-bounds.ts";
import type { DockerInspection, DockerMount } from "./docker-json.ts";
import { limitsFromHostConfig, restartPolicyFromHostConfig } from "./docker-limits.ts";
import { portsFromInspection } from "./docker-ports.ts";
import type { EngineContainer } from "./engine.ts";
import type { SecondsAndNanos } from "../../domain/nanoseconds.ts";
import { momentFromRfc3339 } from "./rfc3339.ts";

const states = new Map<string, ContainerState>([
  ["created", ContainerState.CREATED],
  ["running", ContainerState.RUNNING],
  ["paused", ContainerState.PAUSED],
  ["restarting", ContainerState.RESTARTING],
  ["removing", ContainerState.REMOVING],
  ["exited", ContainerState.EXITED],
  // Podman's word.
  ["stopped", ContainerState.EXITED],
  ["dead", ContainerState.DEAD],
]);

const healths = new Map<string, HealthState>([
  ["starting", HealthState.STARTING],
  ["healthy", HealthState.HEALTHY],
  ["unhealthy", HealthState.UNHEALTHY],
]);

/** Reads Docker's inspection of a container. Throws `ENGINE_FAILED` when it is none. */
export function parseInspection(text: string): DockerInspection {
  try {
    return JSON.parse(text) as DockerInspection;
  } catch (error) {
    throw new FleetError("ENGINE_FAILED", "the engine described a container in no JSON", { cause: error });
  }
}

/** Translates Docker's inspection of a container, made to fit the bounds of the schema. */
export function containerFromInspection(
  inspection: DockerInspection,
  observed: SecondsAndNanos,
): EngineContainer {
  const { Config: config, State: state } = inspection;
  return withinBounds({
    id: inspection.Id,
    name: (inspection.Name ?? "").replace(/^\//, ""),
    image: config?.Image ?? "",
    imageId: inspection.Image ?? "",
    command: [inspection.Path ?? "", ...(inspection.Args ?? [])].join(" ").trim(),
    state: states.get(state?.Status ?? "") ?? ContainerState.UNSPECIFIED,
    health: healths.get(state?.Health?.Status ?? "") ?? HealthState.UNSPECIFIED,
    exitCode: state?.ExitCode ?? 0,
    ...times(inspection),
    ports: portsFromInspection(inspection),
    labels: { ...config?.Labels },
    mounts: mountsFromInspection(inspection),
    networks: networksFromInspection(inspection),
    restartCount: inspection.RestartCount ?? 0,
    ...limitsOf(inspection),
    observedTime: observed,
  });
}

function limitsOf({ HostConfig: host }: DockerInspection): Pick<EngineContainer, "limits" | "restartPolicy"> {
  const limits = limitsFromHostConfig(host ?? {});
  return { ...(limits && { limits }), restartPolicy: restartPolicyFromHostConfig(host ?? {}) };
}

function times(
  inspection: DockerInspection,
): Partial<Record<"createdTime" | "startedTime" | "finishedTime", SecondsAndNanos>> {
  const found = {
    createdTime: momentFromRfc3339(inspection.Created),
    startedTime: momentFromRfc3339(inspection.State?.StartedAt),
    finishedTime: momentFromRfc3339(inspection.State?.FinishedAt),
  };
  return Object.fromEntries(Object.entries(found).filter(([, moment]) => moment !== undefined));
}

function mountsFromInspection({ Mounts: mounts, HostConfig: host }: DockerInspection) {
  const listed = (mounts ?? []).map((mount) => ({
    type: mount.Type ?? "",
    source: sourceOf(mount),
    target: mount.Destination ?? "",
    readOnly: mount.RW === false,
  }));
  // Those of `docker run --tmpfs` are told elsewhere.
  const temporary = Object.entries(host?.Tmpfs ?? {}).map(([target, options]) => ({
    type: "tmpfs",
    source: "",
    target,
    readOnly: options.split(",").includes("ro"),
  }));
  return [...listed, ...temporary].toSorted((one, other) => compare(one.target, other.target));
}

function sourceOf(mount: DockerMount): string {
  return (mount.Type === "volume" ? mount.Name : mount.Source) ?? "";
}

function networksFromInspection({ NetworkSettings: settings }: DockerInspection) {
  return Object.entries(settings?.Networks ?? {})
    .map(([name, endpoint]) => ({
      name,
      ipAddress: endpoint?.IPAddress || endpoint?.GlobalIPv6Address || "",
    }))
    .toSorted((one, other) => compare(one.name, other.name));
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
