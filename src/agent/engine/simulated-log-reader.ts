import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { LogQuery, LogRecord } from "./engine-streams.ts";
import type { SimulatedLogSource } from "./simulated-log.ts";

/** What a reader must know of the container. */
export interface SimulatedLogSubject {
  /** What it writes now into. It changes where a container is started again. */
  readonly log: SimulatedLogSource;
  /** Whether there is a process that may write more. */
  readonly running: boolean;
  /** Whether the engine has been stopped since the reader came. */
  readonly broken: boolean;
}

/** How often one that follows looks for more. */
const lookAgainMs = 10;
const chunkBytes = 64 * 1024;
/** What Docker has in front of a record. */
const headBytes = 39;

/** Reads a simulated container's log, as `Engine.logs` promises. */
export async function* readSimulatedLog(
  subject: SimulatedLogSubject,
  query: LogQuery,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<readonly LogRecord[]> {
  const { log } = subject;
  let index = query.tail === undefined ? 0 : log.end() - query.tail;
  for (;;) {
    check(subject, signal);
    // Asked before the records are, so that the last ones are not missed.
    const mayGrow = query.follow && subject.running && subject.log === log && !isOver(query, clock);
    const end = log.end();
    const { records, next } = chunkFrom(log, index, end);
    const early = records.filter(({ timeNs }) => query.untilNs === undefined || timeNs <= query.untilNs);
    const told = early.filter((record) => wanted(record, query));
    if (told.length > 0) {
      yield told;
    }
    check(subject, signal);
    if (early.length < records.length || (next >= end && !mayGrow)) {
      return;
    }
    if (next >= end) {
      await clock.sleep(lookAgainMs, signal);
    }
    index = next;
  }
}

/** About as much as an engine's connection gives at once. */
function chunkFrom(
  log: SimulatedLogSource,
  from: number,
  end: number,
): { readonly records: readonly LogRecord[]; readonly next: number } {
  const records: LogRecord[] = [];
  let next = Math.max(from, log.first());
  for (let bytes = 0; next < end && bytes < chunkBytes; next += 1) {
    const record = log.at(next);
    if (record !== undefined) {
      records.push(record);
      bytes += headBytes + record.data.byteLength;
    }
  }
  return { records, next };
}

function isOver({ untilNs }: LogQuery, clock: Clock): boolean {
  return untilNs !== undefined && BigInt(Math.floor(clock.now())) * 1_000_000n > untilNs;
}

function check(subject: SimulatedLogSubject, signal: AbortSignal): void {
  signal.throwIfAborted();
  if (subject.broken) {
    throw new FleetError("ENGINE_UNAVAILABLE", "the simulated engine ended its answer in the middle");
  }
}

function wanted({ stream, timeNs }: LogRecord, query: LogQuery): boolean {
  return query[stream] && (query.sinceNs === undefined || timeNs >= query.sinceNs);
}
