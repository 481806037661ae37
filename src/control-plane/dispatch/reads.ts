import { FleetError, reasonTraits } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import type { CommandResult } from "../../gen/fairlead/agent/v1/command_pb.js";
import type { OperationOutcome } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { type RetrySettings, retryDelayMs } from "../../resilience/retry-schedule.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import type { AgentSession } from "../session/agent-session.ts";
import { commandItem } from "../session/control-items.ts";
import type { Sessions } from "../session/session-registry.ts";
import type { Circuits } from "./circuits.ts";
import { errorFromFailure } from "./command-end.ts";
import {
  agentBusy,
  agentOffline,
  commandTooLarge,
  type Dispatched,
  type DispatchRequest,
} from "./dispatch-request.ts";

/** What reads need. */
export interface ReadsParts {
  readonly sessions: Sessions;
  readonly circuits: Circuits;
  readonly retry: RetrySettings;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly random: () => number;
  readonly maxInFlightEach: number;
}

interface WaitingRead {
  readonly session: AgentSession;
  resolve(outcome: OperationOutcome): void;
  reject(error: unknown): void;
}

/** One read over all its attempts. */
interface Read {
  readonly commandId: string;
  readonly request: DispatchRequest;
  readonly timeoutMs: number;
  /** By the monotonic clock. */
  readonly deadline: number;
}

/**
 * Commands that only read. They are not journaled: when the session ends they fail at once, and may be sent again freely.
 * Every promise settles: with the result, when its time is over, when its signal aborts, or when the session ends.
 */
export class Reads {
  readonly #parts: ReadsParts;
  readonly #waiting = new Map<string, WaitingRead>();
  readonly #countOf = new Map<string, number>();
  #pausing = 0;

  constructor(parts: ReadsParts) {
    this.#parts = parts;
  }

  /** How many wait for a result, or for their next attempt. */
  get inFlight(): number {
    return this.#waiting.size + this.#pausing;
  }

  /**
   * Sends the command and waits for its result; again when the agent answers that it could not and a retry can help. Rejects
   * with a `FleetError` that has the command's id, or with the signal's reason.
   */
  async run(request: DispatchRequest, timeoutMs: number): Promise<Dispatched> {
    const { clock } = this.#parts;
    const read = { commandId: newId(), request, timeoutMs, deadline: clock.monotonic() + timeoutMs };
    for (let attempt = 1; ; attempt += 1) {
      try {
        return { commandId: read.commandId, outcome: await this.#attempt(read, attempt) };
      } catch (error) {
        const delayMs = this.#delayAfter(error, read, attempt);
        if (delayMs === undefined) throw withCommandId(error, read.commandId);
        await this.#pause(delayMs, request.signal);
      }
    }
  }

  /** Takes a result. False: it is not for a read of this session. */
  settle(session: AgentSession, { commandId, end }: CommandResult): boolean {
    const read = this.#of(session, commandId);
    if (read === undefined) return false;
    if (end.case === "outcome") {
      read.resolve(end.value);
    } else {
      const nothing = "the agent's result says neither success nor failure";
      read.reject(
        end.case === "failure"
          ? answered(errorFromFailure(end.value))
          : new FleetError("INVALID_RESULT", nothing),
      );
    }
    return true;
  }

  /** Fails a read whose result is of no use. False: it is not for a read of this session. */
  fail(session: AgentSession, commandId: string, error: FleetError): boolean {
    const read = this.#of(session, commandId);
    read?.reject(error);
    return read !== undefined;
  }

  /** Fails all that wait for an answer over this session. */
  closed(session: AgentSession, reason: FleetError): void {
    const message = `the agent of host ${session.identity.hostName} went away: ${reason.message}`;
    for (const read of this.#waiting.values()) {
      if (read.session === session) read.reject(new FleetError("AGENT_DISCONNECTED", message));
    }
  }

  #of(session: AgentSession, commandId: string): WaitingRead | undefined {
    const read = this.#waiting.get(commandId);
    return read?.session === session ? read : undefined;
  }

  async #attempt(read: Read, attempt: number): Promise<OperationOutcome> {
    const { host, signal } = read.request;
    signal.throwIfAborted();
    const session = this.#parts.sessions.current(host.agentId);
    if (session === undefined) throw agentOffline(host);
    const passage = this.#parts.circuits.enter(host);
    try {
      this.#send(session, read, attempt);
      const outcome = await this.#result(session, read);
      passage.ended(undefined);
      return outcome;
    } catch (error) {
      passage.ended(error);
      throw error;
    }
  }

  #send(session: AgentSession, { commandId, request, deadline }: Read, attempt: number): void {
    const { host } = request;
    const { clock, maxInFlightEach } = this.#parts;
    const timeoutMs = deadline - clock.monotonic();
    const sending = { commandId, attempt, sessionEpoch: session.identity.epoch, timeoutMs };
    const item = commandItem(request, sending);
    if (!session.fits(item)) throw commandTooLarge(item.byteLength);
    if ((this.#countOf.get(host.agentId) ?? 0) >= maxInFlightEach) {
      throw agentBusy(host, `${maxInFlightEach} commands are in flight`);
    }
    if (!session.send(item)) throw agentBusy(host, "it reads too slowly");
  }

  async #result(
    session: AgentSession,
    { commandId, request, timeoutMs, deadline }: Read,
  ): Promise<OperationOutcome> {
    const { signal } = request;
    const { agentId } = session.identity;
    const { promise, resolve, reject } = Promise.withResolvers<OperationOutcome>();
    const onAbort = () => reject(signal.reason);
    const late = () =>
      reject(new FleetError("DEADLINE_EXCEEDED", `no result came within ${Math.round(timeoutMs)} ms`));
    const timer = this.#parts.wheel.schedule(deadline - this.#parts.clock.monotonic(), late);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.set(commandId, { session, resolve, reject });
    this.#countOf.set(agentId, (this.#countOf.get(agentId) ?? 0) + 1);
    try {
      return await promise;
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      this.#waiting.delete(commandId);
      const left = (this.#countOf.get(agentId) ?? 1) - 1;
      if (left === 0) this.#countOf.delete(agentId);
      else this.#countOf.set(agentId, left);
    }
  }

  // Only what the agent itself answered is tried again here: a lost connection and a full queue are told at once, because the caller may
  // have a better use of its time.
  #delayAfter(error: unknown, { deadline }: Read, attempt: number): number | undefined {
    if (!(error instanceof AnsweredError) || !reasonTraits[error.reason].retryable) return undefined;
    const { clock, retry, random } = this.#parts;
    return retryDelayMs(attempt, deadline - clock.monotonic(), retry, random);
  }

  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason);
    const timer = this.#parts.wheel.schedule(delayMs, resolve);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#pausing += 1;
    try {
      if (signal.aborted) onAbort();
      await promise;
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      this.#pausing -= 1;
    }
  }
}

/** What an agent answered, as opposed to what happened on the way. */
class AnsweredError extends FleetError {}

function answered({ reason, message, metadata }: FleetError): AnsweredError {
  return new AnsweredError(reason, message, { metadata });
}

function withCommandId(error: unknown, commandId: string): unknown {
  return error instanceof FleetError ? error.with({ command_id: commandId }) : error;
}
