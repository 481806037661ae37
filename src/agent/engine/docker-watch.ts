import type { IncomingMessage } from "node:http";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { DockerConnection } from "./docker-connection.ts";
import { failureFromBrokenCall } from "./docker-errors.ts";
import { eventFromLine, linesOf } from "./docker-events.ts";
import type { DockerInfo } from "./docker-json.ts";
import type { EngineEvent, EngineNotice } from "./engine.ts";
import { momentFromRfc3339 } from "./rfc3339.ts";

/** Follows the containers' events of one engine, as `Engine.watch` promises. Reads no faster than its reader. */
export async function* watchContainers(
  connection: DockerConnection,
  logger: Logger,
  signal: AbortSignal,
): AsyncGenerator<EngineNotice> {
  let response: IncomingMessage | undefined;
  try {
    response = await openEvents(connection, signal);
    yield { kind: "listening" };
    for await (const line of linesOf(response)) {
      const event = understood(line, logger);
      if (event !== undefined) {
        yield { kind: "event", event };
      }
    }
    signal.throwIfAborted();
    throw new FleetError("ENGINE_UNAVAILABLE", "the Docker Engine ended its event stream");
  } catch (error) {
    if (!signal.aborted) {
      throw error instanceof FleetError ? error : failureFromBrokenCall(error, false, connection.address);
    }
  } finally {
    response?.destroy();
  }
}

async function openEvents(connection: DockerConnection, signal: AbortSignal): Promise<IncomingMessage> {
  // The engine answers a moment before it listens to itself. Asked for what happened since a moment before, by its own
  // clock, it leaves no gap.
  const info = await connection.requestJson<DockerInfo>({ method: "GET", path: "/info" }, signal);
  const since = momentFromRfc3339(info.SystemTime);
  return connection.open(
    {
      method: "GET",
      path: "/events",
      query: {
        filters: JSON.stringify({ type: ["container"] }),
        since: since && `${since.seconds}.${`${since.nanos}`.padStart(9, "0")}`,
      },
    },
    signal,
  );
}

function understood(line: string, logger: Logger): EngineEvent | undefined {
  try {
    return eventFromLine(line);
  } catch (error) {
    logger.warn({ err: error }, "ignored a line of the engine's event stream that is no JSON");
    return undefined;
  }
}
