import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { withDeadline } from "../../resilience/deadline.ts";
import { neverAborted } from "../../resilience/signals.ts";
import type { Journal } from "./journal.ts";
import type { JournalRow } from "./journal-database.ts";
import { containerOf, type KnownOperation, operationFrom } from "./operations/command-codec.ts";
import { type CommandEnd, encodedResult, isRetryable } from "./operations/command-result.ts";
import type { OperationRooms } from "./operations/operation-context.ts";
import { settle } from "./operations/settle.ts";

/** What looking needs. */
export interface LookRooms {
  readonly rooms: OperationRooms;
  readonly clock: Clock;
}

const lookMs = 5000;
const againAfterMs = 1000;

/** How a change that broke in the middle ended, as far as a look at the engine can tell; else `OUTCOME_UNKNOWN`. */
export async function lookedUp(
  operation: KnownOperation,
  container: string,
  broken: FleetError,
  { rooms, clock }: LookRooms,
): Promise<CommandEnd> {
  try {
    return { outcome: await look(operation, container, { rooms, clock }, neverAborted) };
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
  for (const { commandId, attempt, epoch, operation } of left) {
    const end = await recoveredEnd(operation, options, signal);
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
  bytes: Uint8Array,
  rooms: LookRooms,
  signal: AbortSignal,
): Promise<CommandEnd | undefined> {
  const operation = operationFrom(bytes);
  if (operation === undefined) {
    const message =
      "the agent was interrupted while the command ran, and it cannot be told from outside what became of it";
    return { error: new FleetError("OUTCOME_UNKNOWN", message) };
  }
  while (!signal.aborted) {
    try {
      return { outcome: await look(operation, containerOf(operation), rooms, signal) };
    } catch (error) {
      if (error instanceof FleetError && error.reason === "OUTCOME_UNKNOWN") return { error };
      await rooms.clock.sleep(againAfterMs, signal).catch(() => undefined);
    }
  }
  return undefined;
}

async function look(
  operation: KnownOperation,
  container: string,
  { rooms, clock }: LookRooms,
  parent: AbortSignal,
): ReturnType<typeof settle> {
  const late = () => new FleetError("ENGINE_UNAVAILABLE", `the engine did not answer within ${lookMs} ms`);
  return await withDeadline({ ms: lookMs, clock, parent, late }, (signal) =>
    settle(operation, container, rooms, signal),
  );
}
