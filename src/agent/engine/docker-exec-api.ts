import type { Clock } from "../../resilience/clock.ts";
import { FleetError } from "../../domain/errors.ts";
import type { DockerConnection } from "./docker-connection.ts";

/** What Docker tells of an exec: GET /exec/{id}/json */
export interface DockerExecState {
  readonly Running: boolean;
  /** Null until it has ended. */
  readonly ExitCode: number | null;
  /** On the engine's host. 0 until it has begun. */
  readonly Pid: number;
}

const firstWaitMs = 5;
const longestWaitMs = 200;

/** Undefined: the engine has forgotten it, because its container is gone. */
export async function execState(
  connection: DockerConnection,
  execId: string,
  signal: AbortSignal,
): Promise<DockerExecState | undefined> {
  try {
    return await connection.requestJson<DockerExecState>(
      { method: "GET", path: `/exec/${execId}/json` },
      signal,
    );
  } catch (error) {
    if (error instanceof FleetError && error.metadata["engine_status"] === "404") {
      return undefined;
    }
    throw error;
  }
}

/** Looks again and again until it is so. Undefined as for `execState`. */
export async function execStateWhen(
  source: { readonly connection: DockerConnection; readonly clock: Clock },
  execId: string,
  isSo: (state: DockerExecState) => boolean,
  signal: AbortSignal,
): Promise<DockerExecState | undefined> {
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(longestWaitMs, 2 * waitMs)) {
    const state = await execState(source.connection, execId, signal);
    if (state === undefined || isSo(state)) {
      return state;
    }
    await source.clock.sleep(waitMs, signal);
  }
}

/** Whether it has come to its end. Before its beginning it does not run, either, but has no exit code. */
export function hasEnded({ Running, ExitCode }: DockerExecState): boolean {
  return !Running && ExitCode !== null;
}
