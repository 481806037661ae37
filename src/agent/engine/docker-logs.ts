import { FleetError } from "../../domain/errors.ts";
import type { DockerConnection } from "./docker-connection.ts";
import { failureFromBrokenCall } from "./docker-errors.ts";
import type { DockerInspection } from "./docker-json.ts";
import { recordsOfFrames } from "./docker-log-records.ts";
import { recordsOfTerminal } from "./docker-terminal-log.ts";
import type { LogQuery, LogRecord } from "./engine-streams.ts";
import { dockerTimeFromNs } from "./rfc3339.ts";

/** What is read, and how. */
interface LogSource {
  readonly connection: DockerConnection;
  /** Full id. */
  readonly container: string;
  readonly tty: boolean;
  readonly signal: AbortSignal;
}

/** Reads a container's log, as `Engine.logs` promises. Reads no faster than its reader, and holds one record. */
export async function* readLogs(
  connection: DockerConnection,
  inspect: (signal: AbortSignal) => Promise<DockerInspection>,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<readonly LogRecord[]> {
  try {
    const { Id: container, Config: config } = await inspect(signal);
    const source = { connection, container, tty: config?.Tty ?? false, signal };
    const told = new LastTold();
    for await (const records of recordsOf(source, query)) {
      told.note(records);
      yield records;
    }
    if (query.follow) {
      yield* whatWasMissed(source, query, told);
    }
    signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof FleetError ? error : failureFromBrokenCall(error, false, connection.address);
  }
}

async function* recordsOf(
  { connection, container, tty, signal }: LogSource,
  query: LogQuery,
): AsyncGenerator<readonly LogRecord[]> {
  const response = await connection.open(
    { method: "GET", path: `/containers/${container}/logs`, query: dockerQuery(query) },
    signal,
  );
  try {
    yield* tty ? recordsOfTerminal(response) : recordsOfFrames(response);
  } finally {
    response.destroy();
  }
}

/**
 * Docker may end a log that is followed with the container, but in front of the last words that the container said. They are
 * in its file: it is asked once more for what came last.
 */
async function* whatWasMissed(
  source: LogSource,
  query: LogQuery,
  told: LastTold,
): AsyncGenerator<readonly LogRecord[]> {
  const fromNs = told.againFromNs;
  if (fromNs === undefined && query.tail !== undefined) {
    // Nothing says where its end was when this began.
    return;
  }
  const sinceNs = query.sinceNs === undefined || (fromNs ?? 0n) > query.sinceNs ? fromNs : query.sinceNs;
  const last = { ...query, follow: false, tail: undefined, sinceNs };
  try {
    for await (const records of recordsOf(source, last)) {
      const missed = records.filter((record) => !told.repeats(record));
      if (missed.length > 0) {
        yield missed;
      }
    }
  } catch (error) {
    // It was removed, or is being removed.
    if (!(error instanceof FleetError && ["CONTAINER_NOT_FOUND", "CONFLICT"].includes(error.reason))) {
      throw error;
    }
  }
}

/** The two outputs of a container are timed apart: their records may be out of order by less than this. */
const disorderNs = 1_000_000_000n;

/** How far a log was told. */
class LastTold {
  #timeNs: bigint | undefined;
  /** So many of the last records have this time. */
  #count = 0;

  note(records: readonly LogRecord[]): void {
    for (const { timeNs } of records) {
      this.#count = timeNs === this.#timeNs ? this.#count + 1 : 1;
      this.#timeNs = timeNs;
    }
  }

  /** From when on the log is to be read again. Undefined: nothing was told. */
  get againFromNs(): bigint | undefined {
    return this.#timeNs === undefined ? undefined : this.#timeNs - disorderNs;
  }

  /** For the records from then on, in their order: whether this one was told before. */
  repeats({ timeNs }: LogRecord): boolean {
    if (this.#count === 0) {
      return false;
    }
    if (timeNs === this.#timeNs) {
      this.#count -= 1;
    }
    return true;
  }
}

function dockerQuery({ stdout, stderr, follow, tail, sinceNs, untilNs }: LogQuery) {
  return {
    stdout,
    stderr,
    follow,
    // Without it no record of a TTY's log could be told from the next.
    timestamps: true,
    tail: tail ?? "all",
    since: sinceNs === undefined ? undefined : dockerTimeFromNs(sinceNs),
    until: untilNs === undefined ? undefined : dockerTimeFromNs(untilNs),
  };
}
