import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { CommandResult } from "../../gen/fairlead/agent/v1/command_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { RetrySettings } from "../../resilience/retry-schedule.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import type { CommandRecord } from "../../storage/records.ts";
import type { AgentSession } from "../session/agent-session.ts";
import { acknowledgementItem, cancellationItem, commandItem } from "../session/control-items.ts";
import type { Sessions } from "../session/session-registry.ts";
import type { Circuits } from "./circuits.ts";
import { type EndOfCommand, endFromError, endFromResult, errorOfEnd } from "./command-end.ts";
import type { CommandJournal, CommandProgress } from "./command-journal.ts";
import type { CommandObserver } from "./command-observer.ts";
import { CommandTimers } from "./command-timers.ts";

// How many ids of each kind a hello can name, as the schema says.
const maxListedIds = 350;

/** What deliveries need. */
export interface DeliveriesParts {
  readonly sessions: Sessions;
  readonly journal: CommandJournal;
  readonly circuits: Circuits;
  readonly retry: RetrySettings;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly observer?: CommandObserver;
}

/**
 * Brings journaled commands to their agents and their ends into the journal, over as many sessions and attempts as that
 * takes. Nothing here waits for a caller: whoever wants to know the end asks the journal.
 */
export class Deliveries {
  readonly #parts: DeliveriesParts;
  readonly #timers: CommandTimers;

  constructor(parts: DeliveriesParts) {
    this.#parts = parts;
    this.#timers = new CommandTimers(parts);
  }

  /** Takes over a command that was just journaled, or recovered: sends it if its agent is there, else it waits until it expires. */
  begin(record: CommandRecord): void {
    const session = this.#parts.sessions.current(record.agentId);
    if (record.state !== "PENDING") return;
    this.#timers.expire(record, () => this.#expired(record.id));
    if (session !== undefined) this.#send(session, record);
  }

  /**
   * Takes over a command that was written as sent in a session that had ended by then, so that it never was. A newer session that began
   * meanwhile did not find it among the open commands.
   */
  resume(written: CommandRecord): void {
    const record = this.#parts.journal.open(written.id);
    const session = this.#parts.sessions.current(written.agentId);
    if (session === undefined || record?.sessionEpoch !== written.sessionEpoch) return;
    this.#sendAgain(session, record);
  }

  /** Ends a command that was just written and could not be sent: it certainly did nothing. */
  async refuse(record: CommandRecord, error: FleetError): Promise<void> {
    await this.#end(record, endFromError(error, false));
  }

  /** The agent has a command in its journal. */
  accepted(session: AgentSession, commandId: string): void {
    const record = this.#openFor(session, commandId);
    if (record === undefined || record.state === "PENDING") return;
    this.#parts.journal.accepted(commandId);
  }

  /** Takes a result. False: no open command of this agent has that id. */
  settle(session: AgentSession, result: CommandResult): boolean {
    const record = this.#openFor(session, result.commandId);
    if (record === undefined) return false;
    const end = endFromResult(result);
    if (end.reason === "STALE_EPOCH" || result.attempt < record.attempt) {
      this.#outdated(session, record, result);
      return true;
    }
    if (!this.#triesAgain(record, end)) void this.#end(record, end);
    return true;
  }

  /** Fails a command whose result is of no use: it was executed, and nobody can tell with what outcome. */
  fail(session: AgentSession, commandId: string, error: FleetError): boolean {
    const record = this.#openFor(session, commandId);
    if (record !== undefined) void this.#end(record, endFromError(error));
    return record !== undefined;
  }

  /**
   * Compares what is open with what the agent still knows, docs/protocol.md "Commands": what it runs or has ended is waited for;
   * what never arrived is sent again with the same id; what it accepted and no longer knows, nobody can know. Where it knows more than a hello
   * can say, what is not named is sent again, because it may be known: the agent then answers from its journal.
   */
  reconcile(session: AgentSession, running: readonly string[], held: readonly string[]): void {
    const isCut = Math.max(running.length, held.length) >= maxListedIds;
    const runs = new Set(running);
    const ended = new Set(held);
    for (const record of this.#parts.journal.openOf(session.identity.agentId)) {
      if (ended.has(record.id)) continue;
      if (runs.has(record.id)) this.#goesOn(session, record);
      else if (record.state === "PENDING") this.#send(session, record);
      else if (record.journalId !== session.identity.journalId) this.#lost(record);
      else if (isCut) this.#remind(session, record);
      else if (record.state === "ACCEPTED") this.#lost(record);
      else if (record.cancelRequested) void this.#end(record, endFromError(cancelled(), false));
      else this.#send(session, record);
    }
  }

  /**
   * Nobody wants the command any more. One that was not sent ends here and now; for one that was, the agent is asked, now or when it
   * is back.
   */
  async cancel(record: CommandRecord): Promise<void> {
    if (record.state === "PENDING") {
      await this.#end(record, endFromError(cancelled(), false));
      return;
    }
    await this.#parts.journal.advanceSafely(record.id, { state: record.state, cancelRequested: true });
    this.#parts.sessions.current(record.agentId)?.send(cancellationItem(record.id));
  }

  /** Ends all open commands of a host that is gone for good. What was never sent certainly did nothing. */
  async abandon(agentId: string): Promise<void> {
    const deleted = "the host was deleted, or given another agent, before it told the end of this command";
    const unknown = endFromError(new FleetError("OUTCOME_UNKNOWN", deleted));
    const never = endFromError(
      new FleetError(
        "CANCELLED",
        "the host was deleted, or given another agent, before this command was sent",
      ),
      false,
    );
    const open = this.#parts.journal.openOf(agentId);
    await Promise.all(open.map((record) => this.#end(record, record.state === "PENDING" ? never : unknown)));
  }

  /** Stops all timers. What is open goes on in the next run. */
  close(): void {
    this.#timers.close();
  }

  #openFor(session: AgentSession, commandId: string): CommandRecord | undefined {
    const record = this.#parts.journal.open(commandId);
    return record?.agentId === session.identity.agentId ? record : undefined;
  }

  #goesOn(session: AgentSession, record: CommandRecord): void {
    this.#parts.journal.accepted(record.id);
    if (record.cancelRequested) session.send(cancellationItem(record.id));
  }

  /**
   * A word about an earlier sending: the command was sent again since, and that sending has its own end. Unless that was in an earlier
   * session: an agent that still holds the end of an earlier attempt never got the later one.
   */
  #outdated(session: AgentSession, record: CommandRecord, { attempt }: CommandResult): void {
    const neverArrived = attempt < record.attempt && record.sessionEpoch < session.identity.epoch;
    if (record.state === "DISPATCHED" && neverArrived) this.#sendAgain(session, record);
  }

  #send(session: AgentSession, record: CommandRecord): void {
    if (record.state === "PENDING") void this.#sendNext(session, record);
    else this.#sendAgain(session, record);
  }

  /**
   * Sends the next attempt of a command that waits. It is written as sent before it is: whoever finds it waiting after a crash may say that
   * it never ran.
   */
  async #sendNext(session: AgentSession, { id, agentId, attempt }: CommandRecord): Promise<void> {
    const { journal, sessions } = this.#parts;
    const record = await journal.advanceSafely(id, this.#sending(session, attempt + 1));
    // Without this session, the next one finds out from the agent that it never arrived.
    if (record === undefined || sessions.current(agentId) !== session) return;
    if (record.cancelRequested) await this.#end(record, endFromError(cancelled(), false));
    else this.#hand(session, record);
  }

  #remind(session: AgentSession, record: CommandRecord): void {
    this.#sendAgain(session, record);
    if (record.cancelRequested) session.send(cancellationItem(record.id));
  }

  /** Sends the same attempt of a command that never arrived. */
  #sendAgain(session: AgentSession, record: CommandRecord): void {
    if (!this.#hand(session, record)) return;
    this.#parts.journal.advance(record.id, this.#sending(session, record.attempt));
  }

  #sending({ identity }: AgentSession, attempt: number): CommandProgress {
    const dispatchTime = this.#parts.clock.now();
    return {
      state: "DISPATCHED",
      attempt,
      sessionEpoch: identity.epoch,
      journalId: identity.journalId,
      dispatchTime,
    };
  }

  /** False: it is not on its way. What cannot be sent now waits for the next session: the journal has it, so that nothing is lost. */
  #hand(session: AgentSession, record: CommandRecord): boolean {
    const remainingMs = record.expireTime - this.#parts.clock.now();
    if (remainingMs <= 0) {
      this.#expired(record.id);
      return false;
    }
    const timeoutMs = Math.min(record.timeoutMs, remainingMs);
    const { id: commandId, attempt } = record;
    const sending = { commandId, attempt, sessionEpoch: session.identity.epoch, timeoutMs };
    if (!session.send(commandItem(record.payload, sending))) return false;
    this.#timers.cancel(record.id);
    return true;
  }

  /** Whether a failed command gets another attempt: nothing was done, tries and time are left, and the way is not known to be closed. */
  #triesAgain(record: CommandRecord, end: EndOfCommand): boolean {
    const { circuits, journal } = this.#parts;
    const error = errorOfEnd(end);
    if (error === undefined || end.state !== "FAILED" || record.cancelRequested) return false;
    const waits = this.#timers.retry(record, error, () => this.#retry(record.id, end));
    if (!waits) return false;
    this.#parts.observer?.retried(record.operation);
    circuits.attemptFailed(record.agentId, error);
    journal.advance(record.id, { state: "PENDING" });
    return true;
  }

  #retry(commandId: string, lastEnd: EndOfCommand): void {
    const { circuits, journal, sessions } = this.#parts;
    const record = journal.open(commandId);
    if (record?.state !== "PENDING") return;
    if (circuits.state(record.agentId) === "open") {
      void this.#end(record, lastEnd);
      return;
    }
    // Should the agent be away, it waits for it no longer than it may.
    this.#timers.expire(record, () => this.#expired(commandId));
    const session = sessions.current(record.agentId);
    if (session !== undefined) this.#send(session, record);
  }

  #expired(commandId: string): void {
    const record = this.#parts.journal.open(commandId);
    if (record === undefined) return;
    const error = new FleetError(
      "COMMAND_EXPIRED",
      "its time was over before it reached the agent; it did nothing",
    );
    void this.#end(record, endFromError(error, false));
  }

  #lost(record: CommandRecord): void {
    const error = new FleetError(
      "OUTCOME_UNKNOWN",
      "the agent lost its journal, so nobody can know whether it ran this command; look at the container before you act again",
    );
    void this.#end(record, endFromError(error));
  }

  // The acknowledgement goes over whichever session counts once the end is safe. Until then it is tried again: the agent, which keeps its result
  // as long, tells it a second time only in another session.
  async #end(record: CommandRecord, end: EndOfCommand, isRepeated = false): Promise<void> {
    const { id, agentId, sessionEpoch } = record;
    this.#timers.cancel(id);
    try {
      await this.#parts.journal.end(id, end);
    } catch (error) {
      if (!isRepeated) {
        const fields = { command_id: id, agent_id: agentId, session_epoch: sessionEpoch };
        this.#parts.logger.error({ err: error, ...fields }, "a command's end could not be stored");
      }
      if (error instanceof FleetError && error.reason === "STORAGE_UNAVAILABLE") {
        this.#timers.storeAgain(id, () => void this.#end(record, end, true));
      }
      return;
    }
    this.#parts.sessions.current(agentId)?.send(acknowledgementItem(id));
  }
}

function cancelled(): FleetError {
  return new FleetError("CANCELLED", "it was cancelled before it began; it did nothing");
}
