import type { Clock } from "../../resilience/clock.ts";
import type { DockerConnection } from "./docker-connection.ts";
import { patiently } from "./docker-patience.ts";

/** A terminal of the engine. */
export interface DockerTerminal {
  readonly connection: Pick<DockerConnection, "request">;
  readonly clock: Clock;
  /** Such as "/exec/{id}". */
  readonly path: string;
  /** Whether its process has ended: then it has no size any more, and that is no failure. */
  readonly hasEnded: (signal: AbortSignal) => Promise<boolean>;
}

/** Sets the size of a terminal, as `EngineProcess.resize` promises. */
export function resizeTerminal(
  { connection, clock, path, hasEnded }: DockerTerminal,
  columns: number,
  rows: number,
): Promise<void> {
  return patiently(clock, async (signal) => {
    try {
      const query = { w: columns, h: rows };
      await connection.request({ method: "POST", path: `${path}/resize`, query }, signal);
    } catch (error) {
      if (!(await hasEnded(signal))) throw error;
    }
  });
}
