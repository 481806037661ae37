import { FleetError } from "../../domain/errors.ts";
import type { DockerConnection } from "./docker-connection.ts";
import type { EngineExit, EngineWaitCondition } from "./engine.ts";

interface DockerExit {
  readonly StatusCode?: number;
  readonly Error?: { readonly Message?: string } | null;
}

/** Docker's POST /containers/{id}/wait; `path` is that of the container. As `Engine.waitContainer` says. */
export async function waitContainer(
  connection: DockerConnection,
  path: string,
  condition: EngineWaitCondition,
  signal: AbortSignal,
): Promise<EngineExit> {
  try {
    const call = { method: "POST", path: `${path}/wait`, query: { condition } } as const;
    const response = await connection.open(call, signal);
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const { StatusCode = 0, Error: error } = JSON.parse(Buffer.concat(chunks).toString()) as DockerExit;
    return { exitCode: StatusCode | 0, message: error?.Message ?? "" };
  } catch (error) {
    signal.throwIfAborted();
    // A call that changes nothing is of no unknown outcome.
    if (error instanceof FleetError && error.reason !== "OUTCOME_UNKNOWN") throw error;
    throw engineWentAway(condition, error);
  }
}

/** What one is told who waits when the engine goes away. */
export function engineWentAway(condition: EngineWaitCondition, cause?: unknown): FleetError {
  const reason = condition === "next-exit" ? "ENGINE_FAILED" : "ENGINE_UNAVAILABLE";
  return new FleetError(reason, "the engine went away while it was waited for the container", { cause });
}
