import type { DockerInspection } from "./docker-json.ts";

/** A port as the schema has it. */
export interface ContainerPort {
  readonly containerPort: number;
  readonly hostPort: number;
  readonly hostIp: string;
  readonly protocol: string;
}

/** The addresses that mean "all of them": Docker tells such a port twice, once for each family. */
const everywhere = new Set(["", "0.0.0.0", "::"]);

/**
 * The ports of a container: those that are published now, and those that are only exposed (host port 0). Sorted, each once.
 */
export function portsFromInspection({
  NetworkSettings: settings,
  Config: config,
}: DockerInspection): ContainerPort[] {
  const live = settings?.Ports ?? {};
  const found = new Map<string, ContainerPort>();
  for (const key of new Set([...Object.keys(live), ...Object.keys(config?.ExposedPorts ?? {})])) {
    const bindings = live[key] ?? [];
    for (const binding of bindings.length === 0 ? [{}] : bindings) {
      const port = portFrom(key, binding);
      found.set(Object.values(port).join(" "), port);
    }
  }
  return [...found.values()].toSorted(byPlace);
}

function portFrom(key: string, binding: { HostIp?: string; HostPort?: string }): ContainerPort {
  const [number = "", protocol = "tcp"] = key.split("/");
  const hostIp = binding.HostIp ?? "";
  return {
    containerPort: portNumber(number),
    hostPort: portNumber(binding.HostPort ?? ""),
    hostIp: everywhere.has(hostIp) ? "" : hostIp,
    protocol,
  };
}

function portNumber(text: string): number {
  const number = Number.parseInt(text, 10);
  return number >= 0 && number <= 65_535 ? number : 0;
}

function byPlace(one: ContainerPort, other: ContainerPort): number {
  return (
    one.containerPort - other.containerPort ||
    one.protocol.localeCompare(other.protocol) ||
    one.hostPort - other.hostPort ||
    one.hostIp.localeCompare(other.hostIp)
  );
}
