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

/** Reads a simulated container's log, as `Engine.logs` promises. */
export async function* readSimulatedLog(
  subject: SimulatedLogSubject,
  query: LogQuery,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<LogRecord> {
  const { log } = subject;
  let index = Math.max(log.first(), query.tail === undefined ? 0 : log.end() - query.tail);
  for (;;) {
    // Asked before the records are, so that the last ones are not missed.
    const mayGrow = query.follow && subject.running && subject.log === log && !isOver(query, clock);
    const end = log.end();
    for (index = Math.max(index, log.first()); index < end; index += 1) {
      check(subject, signal);
      const record = log.at(index);
      if (record !== undefined && query.untilNs !== undefined && record.timeNs > query.untilNs) {
        return;
      }
      if (record !== undefined && wanted(record, query)) {
        yield record;
      }
    }
    check(subject, signal);
    if (!mayGrow) {
      return;
    }
    await clock.sleep(lookAgainMs, signal);
  }
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
