import { failureFromAnswer } from "./docker-errors.ts";
import { portKey } from "./docker-create-options.ts";
import type { DockerPortBinding } from "./docker-json.ts";
import type { SimulatedContainer } from "./simulated-container.ts";

/** Where Linux begins to choose ports by itself. */
const firstFreePort = 32_768;

/**
 * Chooses where the ports of a container are published. Throws `CONFLICT` in Docker's words when another running container
 * has one of them.
 */
export function publishPorts(
  container: SimulatedContainer,
  all: readonly SimulatedContainer[],
): Record<string, DockerPortBinding[]> {
  const running = all.filter(({ run }) => run !== undefined);
  const taken = new Set(
    running.flatMap(({ bindings }) =>
      Object.entries(bindings).flatMap(([key, list]) =>
        list.map(({ HostPort }) => place(key, HostPort ?? "")),
      ),
    ),
  );
  const bindings: Record<string, DockerPortBinding[]> = {};
  for (const port of container.origin.spec.ports) {
    const key = portKey(port);
    const hostPort = port.hostPort || freePort(key, taken);
    if (taken.has(place(key, `${hostPort}`))) {
      const address = `${port.hostIp || "0.0.0.0"}:${hostPort}`;
      throw failureFromAnswer(500, `Bind for ${address} failed: port is already allocated`);
    }
    taken.add(place(key, `${hostPort}`));
    (bindings[key] ??= []).push({ HostIp: port.hostIp, HostPort: `${hostPort}` });
  }
  return bindings;
}

function freePort(key: string, taken: ReadonlySet<string>): number {
  let port = firstFreePort;
  while (taken.has(place(key, `${port}`))) {
    port += 1;
  }
  return port;
}

function place(key: string, hostPort: string): string {
  return `${hostPort}/${key.split("/")[1] ?? "tcp"}`;
}
