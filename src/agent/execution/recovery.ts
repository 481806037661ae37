import type { Logger } from "pino";
import { FleetError, type Reason } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { withDeadline } from "../../resilience/deadline.ts";
import { neverAborted } from "../../resilience/signals.ts";
import type { EngineContainer } from "../engine/engine.ts";
import type { Journal } from "./journal.ts";
import type { JournalRow } from "./journal-database.ts";
import { containerOf, type KnownOperation, operationFrom } from "./operations/command-codec.ts";
import { type CommandEnd, encodedResult, isRetryable } from "./operations/command-result.ts";
import type { OperationRooms, Outcome } from "./operations/operation-context.ts";
import { look, settle } from "./operations/settle.ts";
import { isHarmful } from "./self-protection.ts";

/** What looking needs. */
export interface LookRooms {
  readonly rooms: OperationRooms;
  readonly clock: Clock;
}

const lookMs = 5000;
const againAfterMs = 1000;

// What looking again would not tell better.
const final: ReadonlySet<Reason> = new Set<Reason>(["OUTCOME_UNKNOWN", "PROTECTED_CONTAINER"]);

/** How a change that broke in the middle ended, as far as a look at the engine can tell; else `OUTCOME_UNKNOWN`. */
export async function lookedUp(
  operation: KnownOperation,
  container: string,
  broken: FleetError,
  { rooms, clock }: LookRooms,
): Promise<CommandEnd> {
  try {
    const outcome = await timely(clock, neverAborted, (signal) =>
      settle(operation, container, rooms, signal),
    );
    return { outcome };
  } catch (error) {
    const seen = error instanceof FleetError && error.reason === "OUTCOME_UNKNOWN" ? error : broken;
    const message = `${broken.message}; ${seen === broken ? "looking at the engine failed" : seen.message}`;
    const metadata = { container, ...broken.metadata, ...seen.metadata };
    return { error: new FleetError("OUTCOME_UNKNOWN", message, { metadata }) };
  }
}

/**
 * Ends the commands that an earlier process left in the middle, by looking at the engine, and tells each result. An
 * engine that does not answer is asked again until the signal aborts. Rejects only when the journal fails.
 */
export async function recoverCommands(
  left: readonly JournalRow[],
  options: LookRooms & {
    readonly journal: Journal;
    readonly logger: Logger;
    readonly tell: (commandId: string, result: Uint8Array) => void;
  },
  signal: AbortSignal,
): Promise<void> {
  const { clock, journal, logger, tell } = options;
  for (const row of left) {
    const { commandId, attempt, epoch } = row;
    const end = await recoveredEnd(row, options, signal);
    if (end === undefined) return;
    const result = encodedResult({ commandId, attempt, startedMs: undefined, endedMs: clock.now(), end });
    await journal.finish(commandId, result, isRetryable(end));
    const reason = "error" in end ? end.error.reason : undefined;
    const fields = { command_id: commandId, session_epoch: epoch, attempt, reason };
    logger.warn(fields, "command of an earlier process settled");
    tell(commandId, result);
  }
}

/** Undefined: aborted before it could be told. */
async function recoveredEnd(
  row: JournalRow,
  { rooms, clock }: LookRooms,
  signal: AbortSignal,
): Promise<CommandEnd | undefined> {
  const operation = operationFrom(row.operation);
  if (operation === undefined) {
    const message =
      "the agent was interrupted while the command ran, and it cannot be told from outside what became of it";
    return { error: new FleetError("OUTCOME_UNKNOWN", message) };
  }
  const recover = async (within: AbortSignal): Promise<Outcome> => {
    await refuseProtected(operation, row, rooms, within);
    return await settle(operation, containerOf(operation), rooms, within);
  };
  while (!signal.aborted) {
    try {
      return { outcome: await timely(clock, signal, recover) };
    } catch (error) {
      if (error instanceof FleetError && final.has(error.reason)) return { error };
      await clock.sleep(againAfterMs, signal).catch(() => undefined);
    }
  }
  return undefined;
}

/**
 * Refuses what the earlier process would have refused, had it come to that. Whether a container is protected does not change, so that nothing
 * was done to it, whatever state it is in now; unless it has only got the name since, which tells nothing of the one that had it before.
 */
async function refuseProtected(
  operation: KnownOperation,
  row: JournalRow,
  rooms: OperationRooms,
  signal: AbortSignal,
): Promise<void> {
  if (!isHarmful(operation.case)) return;
  const container = containerOf(operation);
  const seen = await look(container, rooms, signal);
  if (seen === undefined || !rooms.protection.covers(seen)) return;
  if (createdMs(seen) > row.time) {
    const message = "it was begun and its answer is lost; the container of that name is a newer one";
    throw new FleetError("OUTCOME_UNKNOWN", message, { metadata: { container } });
  }
  rooms.protection.refuse(operation.case, seen);
}

/** By the engine's clock, which is the agent's own; 0 where the engine does not say. */
function createdMs({ createdTime }: EngineContainer): number {
  return Number(createdTime?.seconds ?? 0n) * 1000 + (createdTime?.nanos ?? 0) / 1e6;
}

/** Asks the engine, for so long as a look may take. */
async function timely<Value>(
  clock: Clock,
  parent: AbortSignal,
  ask: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const late = () => new FleetError("ENGINE_UNAVAILABLE", `the engine did not answer within ${lookMs} ms`);
  return await withDeadline({ ms: lookMs, clock, parent, late }, ask);
}
