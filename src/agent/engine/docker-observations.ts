import { FilesystemChange_Kind } from "../../gen/fairlead/container/v1/filesystem_change_pb.js";
import type { DockerConnection } from "./docker-connection.ts";
import type { DockerChange, DockerTop } from "./docker-json.ts";
import type { EngineFileChange, EngineProcesses } from "./engine.ts";

const kinds = [FilesystemChange_Kind.MODIFIED, FilesystemChange_Kind.ADDED, FilesystemChange_Kind.DELETED];

/** Docker's GET /containers/{id}/top; `path` is that of the container. */
export async function listProcesses(
  connection: DockerConnection,
  path: string,
  psOptions: string,
  signal: AbortSignal,
): Promise<EngineProcesses> {
  const query = { ps_args: psOptions || undefined };
  const top = await connection.requestJson<DockerTop>({ method: "GET", path: `${path}/top`, query }, signal);
  return { titles: top.Titles ?? [], processes: top.Processes ?? [] };
}

/** Docker's GET /containers/{id}/changes; `path` is that of the container. */
export async function listChanges(
  connection: DockerConnection,
  path: string,
  signal: AbortSignal,
): Promise<EngineFileChange[]> {
  const call = { method: "GET", path: `${path}/changes` } as const;
  const changes = await connection.requestJson<readonly DockerChange[] | null>(call, signal);
  return (changes ?? [])
    .map(({ Path, Kind }) => ({ path: Path, kind: kinds[Kind] ?? FilesystemChange_Kind.UNSPECIFIED }))
    .toSorted((one, other) => (one.path < other.path ? -1 : 1));
}
