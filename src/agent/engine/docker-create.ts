import { FleetError } from "../../domain/errors.ts";
import type { ContainerSpec } from "../../gen/fairlead/container/v1/container_spec_pb.js";
import type { DockerConnection } from "./docker-connection.ts";
import { createOptionsFromSpec } from "./docker-create-options.ts";
import { checkNetworks, unknownNetwork } from "./networks-of-spec.ts";

/** How long a container that could not be finished may take to be removed again. */
const cleanUpMs = 10_000;

/**
 * Creates a container and attaches it to all its networks. Resolves to its full id. When a network cannot be attached, the
 * container is removed again and the engine's error is the result.
 */
export async function createContainer(
  connection: DockerConnection,
  name: string,
  spec: ContainerSpec,
  signal: AbortSignal,
): Promise<string> {
  checkNetworks(spec.networks);
  // The engine would look for the first network only when the container is started.
  await Promise.all(spec.networks.map((network) => findNetwork(connection, network, signal)));
  const { Id: id } = await connection.requestJson<{ readonly Id: string }>(
    {
      method: "POST",
      path: "/containers/create",
      query: { name: name || undefined },
      body: createOptionsFromSpec(spec),
    },
    signal,
  );
  try {
    for (const network of spec.networks.slice(1)) {
      const path = `/networks/${encodeURIComponent(network)}/connect`;
      await connection.request({ method: "POST", path, body: { Container: id } }, signal);
    }
  } catch (error) {
    await removeAgain(connection, id, error);
    throw error;
  }
  return id;
}

async function findNetwork(
  connection: DockerConnection,
  network: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await connection.request({ method: "GET", path: `/networks/${encodeURIComponent(network)}` }, signal);
  } catch (error) {
    throw error instanceof FleetError && error.metadata["engine_status"] === "404"
      ? unknownNetwork(error.message)
      : error;
  }
}

/** Works even when the caller has gone. Says so when the container had to be left behind. */
async function removeAgain(connection: DockerConnection, id: string, cause: unknown): Promise<void> {
  try {
    await connection.request(
      { method: "DELETE", path: `/containers/${id}`, query: { force: true, v: true } },
      AbortSignal.timeout(cleanUpMs),
    );
  } catch {
    throw new FleetError(
      "OUTCOME_UNKNOWN",
      `the container ${id} was created but could not be finished, nor removed: ${cause instanceof Error ? cause.message : String(cause)}`,
      { metadata: { container_id: id }, cause },
    );
  }
}
