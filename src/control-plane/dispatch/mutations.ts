import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { hasEnded } from "../../domain/command-state.ts";
import { FleetError, isReason } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import type { Acceptance, CommandResult } from "../../gen/fairlead/agent/v1/command_pb.js";
import { OperationOutcomeSchema, OperationSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import type { OperationTraits } from "../../rpc/operation-traits.ts";
import type { CommandRecord } from "../../storage/records.ts";
import type { AgentSession } from "../session/agent-session.ts";
import { acknowledgementItem, commandItem } from "../session/control-items.ts";
import type { Sessions } from "../session/session-registry.ts";
import { endFromError, endFromResult } from "./command-end.ts";
import type { CommandJournal } from "./command-journal.ts";
import {
  agentBusy,
  agentOffline,
  commandTooLarge,
  type Dispatched,
  type DispatchRequest,
} from "./dispatch-request.ts";
import type { RequestKeys } from "./request-keys.ts";

/** What mutations need. */
export interface MutationsParts {
  readonly sessions: Sessions;
  readonly journal: CommandJournal;
  readonly keys: RequestKeys;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxInFlightEach: number;
}

/**
 * Commands that change something: journaled before they are sent, open until the agent has told their end, whatever
 * becomes of callers, connections and this process in between.
 */
export class Mutations {
  readonly #parts: MutationsParts;
  readonly #waitingCallers = new Map<(reason: FleetError) => void, string>();
  #waiting = 0;

  constructor(parts: MutationsParts) {
    this.#parts = parts;
  }

  /** How many callers wait for an end now. */
  get inFlight(): number {
    return this.#waiting;
  }

  /**
   * Journals the command, sends it and waits for its end. With a request id that is known already it waits for that command
   * instead. When the time of the call is over, or its signal aborts, the command goes on.
   */
  async run(request: DispatchRequest, traits: OperationTraits, timeoutMs: number): Promise<Dispatched> {
    this.#waiting += 1;
    try {
      const commandId = await this.#parts.keys.commandFor(request, () =>
        this.#create(request, traits, timeoutMs),
      );
      return dispatchedFrom(await this.#ended(commandId, timeoutMs, request.signal));
    } finally {
      this.#waiting -= 1;
    }
  }

  /** The agent has it in its journal. */
  accepted(session: AgentSession, { commandId }: Acceptance): void {
    if (!this.#isFor(session, commandId)) return;
    this.#parts.journal.advance(commandId, { state: "ACCEPTED", acceptTime: this.#parts.clock.now() });
  }

  /** Takes a result. False: no open command of this agent has that id. */
  settle(session: AgentSession, result: CommandResult): boolean {
    if (!this.#isFor(session, result.commandId)) return false;
    void this.#end(session.identity.agentId, result.commandId, endFromResult(result));
    return true;
  }

  /** Fails a command whose result is of no use: it was executed, and nobody can tell with what outcome. */
  fail(session: AgentSession, commandId: string, error: FleetError): boolean {
    if (!this.#isFor(session, commandId)) return false;
    void this.#end(session.identity.agentId, commandId, endFromError(error));
    return true;
  }

  /**
   * Compares what is open with what the agent still knows, docs/protocol.md "Commands": what it runs or has ended is waited for;
   * what never arrived is sent again with the same id; what it accepted and no longer knows, nobody can know.
   */
  reconcile(session: AgentSession, running: readonly string[], held: readonly string[]): void {
    const runs = new Set(running);
    const ended = new Set(held);
    for (const record of this.#parts.journal.openOf(session.identity.agentId)) {
      if (ended.has(record.id)) continue;
      if (runs.has(record.id)) {
        this.accepted(session, {
          $typeName: "fairlead.agent.v1.Acceptance",
          commandId: record.id,
          attempt: record.attempt,
        });
      } else if (record.state === "ACCEPTED" || record.journalId !== session.identity.journalId) {
        this.#lost(record);
      } else this.#sendAgain(session, record);
    }
  }

  /** Lets go of all callers: what they wait for goes on, and ends in a later run. */
  close(reason: FleetError): void {
    for (const [reject, commandId] of this.#waitingCallers) reject(reason.with({ command_id: commandId }));
  }

  /** Ends all open commands of a host that is gone for good. */
  async abandon(agentId: string): Promise<void> {
    const gone = endFromError(
      new FleetError("OUTCOME_UNKNOWN", "the host was deleted before it told the end of this command"),
    );
    await Promise.all(this.#parts.journal.openOf(agentId).map(({ id }) => this.#end(agentId, id, gone)));
  }

  #isFor(session: AgentSession, commandId: string): boolean {
    return this.#parts.journal.open(commandId)?.agentId === session.identity.agentId;
  }

  async #create(request: DispatchRequest, traits: OperationTraits, timeoutMs: number): Promise<string> {
    const { journal, sessions, clock, maxInFlightEach } = this.#parts;
    const { host, operation, signal } = request;
    signal.throwIfAborted();
    const session = sessions.current(host.agentId);
    if (session === undefined) throw agentOffline(host);
    if (journal.openCountOf(host.agentId) >= maxInFlightEach) {
      throw agentBusy(host, `${maxInFlightEach} commands are open`);
    }
    const now = clock.now();
    const { epoch, journalId } = session.identity;
    const sent = { state: "DISPATCHED", attempt: 1, sessionEpoch: epoch } as const;
    const record: CommandRecord = {
      ...sent,
      ...host,
      id: newId(),
      operation: traits.name,
      container: request.container,
      caller: request.caller,
      requestId: request.requestId,
      requestDigest: request.requestDigest,
      reason: "",
      message: "",
      metadata: {},
      changed: false,
      journalId,
      timeoutMs,
      createTime: now,
      dispatchTime: now,
      payload: toBinary(OperationSchema, operation),
      outcome: new Uint8Array(0),
      transitions: [
        { state: "PENDING", time: now, attempt: 0, sessionEpoch: 0 },
        { ...sent, time: now },
      ],
    };
    const item = commandItem({ commandId: record.id, attempt: 1, sessionEpoch: epoch, timeoutMs, operation });
    if (!session.fits(item)) throw commandTooLarge(item.byteLength);
    await journal.add(record);
    // From here on a later session finds it among the open commands and sends it itself.
    if (sessions.current(host.agentId) === session && !session.send(item)) this.#refused(record, host);
    return record.id;
  }

  #refused(record: CommandRecord, host: DispatchRequest["host"]): void {
    void this.#end(record.agentId, record.id, endFromError(agentBusy(host, "it reads too slowly"), false));
  }

  async #ended(commandId: string, timeoutMs: number, signal: AbortSignal): Promise<CommandRecord> {
    const { promise, resolve, reject } = Promise.withResolvers<CommandRecord>();
    const stop = this.#parts.journal.onEnd(commandId, resolve);
    if (stop === undefined) return this.#record(commandId);
    const onAbort = () => reject(signal.reason);
    const timer = this.#parts.wheel.schedule(timeoutMs, () => reject(stillOpen(commandId, timeoutMs)));
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waitingCallers.set(reject, commandId);
    if (signal.aborted) onAbort();
    try {
      return await promise;
    } finally {
      stop();
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      this.#waitingCallers.delete(reject);
    }
  }

  async #record(commandId: string): Promise<CommandRecord> {
    const record = await this.#parts.journal.find(commandId);
    if (record !== undefined) return record;
    throw new FleetError("COMMAND_NOT_FOUND", `command ${commandId} is no longer kept`, {
      metadata: { command_id: commandId },
    });
  }

  #lost(record: CommandRecord): void {
    const error = new FleetError(
      "OUTCOME_UNKNOWN",
      "the agent lost its journal, so nobody can know whether it ran this command; look at the container before you act again",
    );
    void this.#end(record.agentId, record.id, endFromError(error));
  }

  #sendAgain(session: AgentSession, record: CommandRecord): void {
    const { clock, journal } = this.#parts;
    const { id, agentId, attempt } = record;
    const timeoutMs = record.createTime + record.timeoutMs - clock.now();
    if (timeoutMs <= 0) {
      const error = new FleetError(
        "COMMAND_EXPIRED",
        "its time was over before it reached the agent; it did nothing",
      );
      void this.#end(agentId, id, endFromError(error, false));
      return;
    }
    const { epoch, journalId } = session.identity;
    const operation = fromBinary(OperationSchema, record.payload);
    if (!session.send(commandItem({ commandId: id, attempt, sessionEpoch: epoch, timeoutMs, operation }))) {
      return;
    }
    journal.advance(id, { state: "DISPATCHED", sessionEpoch: epoch, journalId, dispatchTime: clock.now() });
  }

  // The acknowledgement goes over whichever session counts once the end is safe.
  async #end(agentId: string, commandId: string, end: ReturnType<typeof endFromError>): Promise<void> {
    try {
      await this.#parts.journal.end(commandId, end);
    } catch (error) {
      this.#parts.logger.error(
        { err: error, command_id: commandId },
        "a command's end could not be stored; its agent keeps it",
      );
      return;
    }
    this.#parts.sessions.current(agentId)?.send(acknowledgementItem(commandId));
  }
}

function dispatchedFrom(record: CommandRecord): Dispatched {
  if (record.state === "SUCCEEDED") {
    return { commandId: record.id, outcome: fromBinary(OperationOutcomeSchema, record.outcome) };
  }
  if (!hasEnded(record.state)) throw stillOpen(record.id, record.timeoutMs);
  throw new FleetError(isReason(record.reason) ? record.reason : "OPERATION_FAILED", record.message, {
    metadata: { ...record.metadata, command_id: record.id },
  });
}

function stillOpen(commandId: string, timeoutMs: number): FleetError {
  return new FleetError(
    "DEADLINE_EXCEEDED",
    `no result came within ${timeoutMs} ms; nothing is undone, and the command can be asked for later`,
    { metadata: { command_id: commandId } },
  );
}
