import type { IncomingMessage } from "node:http";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import { nsFromSeconds } from "../../domain/nanoseconds.ts";
import type { DockerConnection } from "./docker-connection.ts";
import { failureFromBrokenCall } from "./docker-errors.ts";
import { linesOf, noticeFromLine } from "./docker-events.ts";
import type { DockerInfo } from "./docker-json.ts";
import type { EngineNotice } from "./engine.ts";
import { dockerTimeFromNs, momentFromRfc3339 } from "./rfc3339.ts";

/** What to watch, and from when on. */
export interface Watch {
  readonly connection: DockerConnection;
  readonly logger: Logger;
  /** Undefined: from now on. */
  readonly sinceNs: bigint | undefined;
}

/** Follows the containers' events of one engine, as `Engine.watch` promises. Reads no faster than its reader. */
export async function* watchContainers(
  { connection, logger, sinceNs }: Watch,
  signal: AbortSignal,
): AsyncGenerator<EngineNotice> {
  let response: IncomingMessage | undefined;
  try {
    // The engine answers a moment before it listens to itself. Asked for what happened since a moment before, by its own
    // clock, it leaves no gap.
    const info = await connection.requestJson<DockerInfo>({ method: "GET", path: "/info" }, signal);
    const now = momentFromRfc3339(info.SystemTime);
    const timeNs = now === undefined ? 0n : nsFromSeconds(now);
    // A clock that was set back must not make the engine wait for a time that is to come.
    const fromNs = sinceNs !== undefined && sinceNs < timeNs ? sinceNs : timeNs;
    response = await openEvents(connection, fromNs, signal);
    yield { kind: "listening", timeNs };
    for await (const line of linesOf(response)) {
      const notice = understood(line, logger);
      if (notice !== undefined) {
        yield notice;
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

function openEvents(
  connection: DockerConnection,
  fromNs: bigint,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return connection.open(
    {
      method: "GET",
      path: "/events",
      query: {
        filters: JSON.stringify({ type: ["container"] }),
        since: fromNs === 0n ? undefined : dockerTimeFromNs(fromNs),
      },
    },
    signal,
  );
}

function understood(line: string, logger: Logger): EngineNotice | undefined {
  try {
    return noticeFromLine(line);
  } catch (error) {
    logger.warn({ err: error }, "ignored a line of the engine's event stream that is no JSON");
    return undefined;
  }
}
