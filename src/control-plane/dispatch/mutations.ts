import { fromBinary } from "@bufbuild/protobuf";
import { hasEnded } from "../../domain/command-state.ts";
import { FleetError } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import { OperationOutcomeSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import type { OperationTraits } from "../../rpc/operation-traits.ts";
import type { CommandRecord } from "../../storage/records.ts";
import type { AgentSession } from "../session/agent-session.ts";
import { commandItem, contentBytes } from "../session/control-items.ts";
import type { Sessions } from "../session/session-registry.ts";
import { errorOfRecord } from "./command-end.ts";
import type { Circuits, Passage } from "./circuits.ts";
import type { CommandJournal } from "./command-journal.ts";
import type { Deliveries } from "./deliveries.ts";
import {
  agentBusy,
  agentOffline,
  commandNotFound,
  commandTooLarge,
  type Dispatched,
  type DispatchRequest,
} from "./dispatch-request.ts";
import type { RequestKeys } from "./request-keys.ts";

/** What mutations need. */
export interface MutationsParts {
  readonly sessions: Sessions;
  readonly journal: CommandJournal;
  readonly deliveries: Deliveries;
  readonly circuits: Circuits;
  readonly keys: RequestKeys;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly maxInFlightEach: number;
}

const queuedLifetimeMs = 24 * 60 * 60_000;

/**
 * Callers of commands that change something: journals what they want before it is sent, and lets them wait for its end. The
 * command itself outlives them.
 */
export class Mutations {
  readonly #parts: MutationsParts;
  readonly #callers = new Map<(reason: FleetError) => void, string>();
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
    const { circuits } = this.#parts;
    const { agentId } = request.host;
    this.#waiting += 1;
    // At most one: a call that repeats an earlier one neither asks the circuit nor tells it anything.
    const passages: Passage[] = [];
    const create = () => {
      if (request.whenOffline !== "queue") passages.push(circuits.enter(request.host));
      return this.#create(request, traits, timeoutMs);
    };
    try {
      const commandId = await this.#parts.keys.commandFor(request, create);
      if (request.whenOffline === "queue") return queuedFrom(await this.find(commandId));
      const dispatched = dispatchedFrom(await this.wait(commandId, timeoutMs, request.signal));
      for (const passage of passages) circuits.left(agentId, passage, undefined);
      return dispatched;
    } catch (error) {
      for (const passage of passages) circuits.left(agentId, passage, error);
      throw error;
    } finally {
      this.#waiting -= 1;
    }
  }

  /** Waits for a command's end, or until the time is over: then DEADLINE_EXCEEDED. Rejects with the signal's reason as well. */
  async wait(commandId: string, timeoutMs: number, signal: AbortSignal): Promise<CommandRecord> {
    const { promise, resolve, reject } = Promise.withResolvers<CommandRecord>();
    const stop = this.#parts.journal.watch(commandId, { ended: resolve });
    if (stop === undefined) return this.find(commandId);
    const onAbort = () => reject(named(signal.reason, commandId));
    const timer = this.#parts.wheel.schedule(timeoutMs, () => reject(stillOpen(commandId, timeoutMs)));
    signal.addEventListener("abort", onAbort, { once: true });
    this.#callers.set(reject, commandId);
    if (signal.aborted) onAbort();
    try {
      return await promise;
    } finally {
      stop();
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      this.#callers.delete(reject);
    }
  }

  /** A command, ended or not. Rejects with COMMAND_NOT_FOUND. */
  async find(commandId: string): Promise<CommandRecord> {
    const record = await this.#parts.journal.find(commandId);
    if (record !== undefined) return record;
    throw commandNotFound(commandId);
  }

  /** Lets go of all callers: what they wait for goes on, and ends in a later run. */
  close(reason: FleetError): void {
    for (const [reject, commandId] of this.#callers) reject(reason.with({ command_id: commandId }));
  }

  async #create(request: DispatchRequest, traits: OperationTraits, timeoutMs: number): Promise<string> {
    const { journal, deliveries, sessions, maxInFlightEach } = this.#parts;
    const { host, signal } = request;
    signal.throwIfAborted();
    const queued = request.whenOffline === "queue";
    const session = sessions.current(host.agentId);
    if (session === undefined && !queued) throw agentOffline(host);
    if (journal.openCountOf(host.agentId) >= maxInFlightEach) {
      throw agentBusy(host, `${maxInFlightEach} commands are open`);
    }
    const record = this.#record(request, traits, timeoutMs);
    if (session === undefined) {
      await journal.add(record);
      deliveries.begin(record);
      return record.id;
    }
    const sent = this.#dispatched(record, session);
    const { attempt, sessionEpoch } = sent;
    const item = commandItem(sent.payload, { commandId: sent.id, attempt, sessionEpoch, timeoutMs });
    if (!session.fits(item)) throw commandTooLarge(item.byteLength);
    await journal.add(sent);
    // From here on a later session finds it among the open commands and sends it itself.
    if (sessions.current(host.agentId) !== session) deliveries.resume(sent);
    else if (!session.send(item) && !session.over) {
      await deliveries.refuse(sent, agentBusy(host, "it reads too slowly"));
    }
    return sent.id;
  }

  #record(request: DispatchRequest, traits: OperationTraits, timeoutMs: number): CommandRecord {
    const now = this.#parts.clock.now();
    const { hostId, hostName, agentId } = request.host;
    const lifetimeMs = request.whenOffline === "queue" ? queuedLifetimeMs : timeoutMs;
    return {
      id: newId(),
      operation: traits.name,
      hostId,
      hostName,
      agentId,
      container: request.container,
      containerName: request.containerName ?? request.container,
      caller: request.caller,
      callerKeyId: request.callerKeyId,
      callerAddress: request.callerAddress,
      requestId: request.requestId,
      requestDigest: request.requestDigest,
      state: "PENDING",
      reason: "",
      message: "",
      metadata: {},
      changed: false,
      attempt: 0,
      sessionEpoch: 0,
      journalId: "",
      timeoutMs,
      expireTime: request.expireTime ?? now + lifetimeMs,
      cancelRequested: false,
      createTime: now,
      payload: Uint8Array.from(contentBytes(request)),
      outcome: new Uint8Array(0),
      transitions: [{ state: "PENDING", time: now, attempt: 0, sessionEpoch: 0 }],
    };
  }

  // Written as sent before it is: one commit instead of two. If it is not sent after all, the next session finds out from the agent.
  #dispatched(record: CommandRecord, { identity }: AgentSession): CommandRecord {
    const sent = { state: "DISPATCHED", attempt: 1, sessionEpoch: identity.epoch } as const;
    const time = record.createTime;
    return {
      ...record,
      ...sent,
      journalId: identity.journalId,
      dispatchTime: time,
      transitions: [...record.transitions, { ...sent, time }],
    };
  }
}

/** A caller that goes away or runs out of time learns which command goes on without it. */
function named(reason: unknown, commandId: string): unknown {
  return reason instanceof FleetError ? reason.with({ command_id: commandId }) : reason;
}

function dispatchedFrom(record: CommandRecord): Dispatched {
  if (record.state === "SUCCEEDED") {
    return { commandId: record.id, outcome: fromBinary(OperationOutcomeSchema, record.outcome) };
  }
  if (!hasEnded(record.state)) throw stillOpen(record.id, record.timeoutMs);
  throw errorOfRecord(record);
}

function queuedFrom(record: CommandRecord): Dispatched {
  return hasEnded(record.state) ? dispatchedFrom(record) : { commandId: record.id, outcome: undefined };
}

function stillOpen(commandId: string, timeoutMs: number): FleetError {
  return new FleetError(
    "DEADLINE_EXCEEDED",
    `no result came within ${timeoutMs} ms; nothing is undone, and the command can be asked for later`,
    { metadata: { command_id: commandId } },
  );
}
