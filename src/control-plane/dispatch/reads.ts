import { FleetError, reasonTraits } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import type { CommandResult } from "../../gen/fairlead/agent/v1/command_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { type RetrySettings, retryDelayMs } from "../../resilience/retry-schedule.ts";
import type { TimerWheel, WheelTimer } from "../../resilience/timer-wheel.ts";
import type { AgentSession } from "../session/agent-session.ts";
import { cancellationItem, commandItem, contentBytes } from "../session/control-items.ts";
import type { Sessions } from "../session/session-registry.ts";
import { operationTraits } from "../../rpc/operation-traits.ts";
import type { Circuits, Passage } from "./circuits.ts";
import { errorFromFailure } from "./command-end.ts";
import type { CommandObserver } from "./command-observer.ts";
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
  readonly observer?: CommandObserver;
}

/** One read over all its attempts. */
interface Read {
  readonly commandId: string;
  readonly request: DispatchRequest;
  readonly settled: PromiseWithResolvers<Dispatched>;
  /** By the monotonic clock. */
  readonly deadline: number;
  attempt: number;
  /** Over which session it was sent; undefined while it waits for its next attempt. */
  session: AgentSession | undefined;
  /** Of the attempt under way. */
  passage: Passage | undefined;
  /** Its next attempt. */
  pause: WheelTimer | undefined;
  readonly timer: WheelTimer;
  readonly onAbort: () => void;
}

/**
 * Commands that only read. They are not journaled: when the session ends they fail at once, and may be sent again freely.
 * Every promise settles: with the result, when its time is over, when its signal aborts, or when the session ends.
 */
export class Reads {
  readonly #parts: ReadsParts;
  readonly #waiting = new Map<string, Read>();
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
  run(request: DispatchRequest, timeoutMs: number): Promise<Dispatched> {
    const { clock, wheel } = this.#parts;
    const { signal } = request;
    // One promise, one timer and one listener for all of its attempts: this is the path of every read.
    const read: Read = {
      commandId: newId(),
      request,
      settled: Promise.withResolvers(),
      deadline: clock.monotonic() + timeoutMs,
      attempt: 0,
      session: undefined,
      passage: undefined,
      pause: undefined,
      timer: wheel.schedule(timeoutMs, () => this.#end(read, tooLate(timeoutMs))),
      onAbort: () => this.#end(read, signal.reason),
    };
    signal.addEventListener("abort", read.onAbort);
    if (signal.aborted) read.onAbort();
    else this.#try(read);
    return read.settled.promise;
  }

  /** Takes a result. False: it is not for a read of this session. */
  settle(session: AgentSession, { commandId, end }: CommandResult): boolean {
    const read = this.#of(session, commandId);
    if (read === undefined) return false;
    if (end.case === "outcome") {
      this.#leave(read, undefined);
      release(read);
      read.settled.resolve({ commandId, outcome: end.value });
    } else if (end.case === "failure") {
      this.#answered(read, errorFromFailure(end.value));
    } else {
      const nothing = "the agent's result says neither success nor failure";
      this.#end(read, new FleetError("INVALID_RESULT", nothing));
    }
    return true;
  }

  /** Fails a read whose result is of no use. False: it is not for a read of this session. */
  fail(session: AgentSession, commandId: string, error: FleetError): boolean {
    const read = this.#of(session, commandId);
    if (read !== undefined) this.#end(read, error);
    return read !== undefined;
  }

  /** Fails all that wait for an answer over this session. */
  closed(session: AgentSession, reason: FleetError): void {
    const message = `the agent of host ${session.identity.hostName} went away: ${reason.message}`;
    for (const read of this.#waiting.values()) {
      if (read.session === session) this.#end(read, new FleetError("AGENT_DISCONNECTED", message));
    }
  }

  /** Ends those that only wait, maybe for long. */
  endWaits(reason: FleetError): void {
    for (const read of this.#waiting.values()) if (onlyWaits(read)) this.#end(read, reason);
  }

  #of(session: AgentSession, commandId: string): Read | undefined {
    const read = this.#waiting.get(commandId);
    return read?.session === session ? read : undefined;
  }

  #try(read: Read): void {
    try {
      const { host } = read.request;
      const session = this.#parts.sessions.current(host.agentId);
      if (session === undefined) throw agentOffline(host);
      read.attempt += 1;
      read.passage = this.#parts.circuits.enter(host);
      this.#send(session, read);
      read.session = session;
      this.#waiting.set(read.commandId, read);
      this.#countOf.set(host.agentId, (this.#countOf.get(host.agentId) ?? 0) + 1);
    } catch (error) {
      this.#end(read, error);
    }
  }

  #send(session: AgentSession, { commandId, attempt, request, deadline }: Read): void {
    const { host } = request;
    const { clock, maxInFlightEach } = this.#parts;
    const timeoutMs = deadline - clock.monotonic();
    const sending = { commandId, attempt, sessionEpoch: session.identity.epoch, timeoutMs };
    const item = commandItem(contentBytes(request), sending);
    if (!session.fits(item)) throw commandTooLarge(item.byteLength);
    if ((this.#countOf.get(host.agentId) ?? 0) >= maxInFlightEach) {
      throw agentBusy(host, `${maxInFlightEach} commands are in flight`);
    }
    if (!session.send(item)) throw agentBusy(host, "it reads too slowly");
  }

  // Only what the agent itself answered is tried again here: a lost connection and a full queue are told at once, because the caller may
  // have a better use of its time.
  #answered(read: Read, error: FleetError): void {
    const { clock, retry, random, wheel } = this.#parts;
    const delayMs = reasonTraits[error.reason].retryable
      ? retryDelayMs(read.attempt, read.deadline - clock.monotonic(), retry, random)
      : undefined;
    if (delayMs === undefined) {
      this.#end(read, error);
      return;
    }
    this.#leave(read, error);
    const { case: operation } = read.request.operation.operation;
    if (operation !== undefined) this.#parts.observer?.retried(operationTraits(operation).name);
    this.#pausing += 1;
    read.pause = wheel.schedule(delayMs, () => {
      this.#pausing -= 1;
      read.pause = undefined;
      this.#try(read);
    });
  }

  #end(read: Read, error: unknown): void {
    // Whoever has gone would be waited for on the host all the same, maybe for hours.
    if (onlyWaits(read)) read.session?.send(cancellationItem(read.commandId));
    this.#leave(read, error);
    if (read.pause !== undefined) {
      read.pause.cancel();
      read.pause = undefined;
      this.#pausing -= 1;
    }
    release(read);
    read.settled.reject(error instanceof FleetError ? error.with({ command_id: read.commandId }) : error);
  }

  /** The attempt under way, if there is one, is over. */
  #leave(read: Read, error: unknown): void {
    const { agentId } = read.request.host;
    if (read.passage !== undefined) this.#parts.circuits.left(agentId, read.passage, error);
    read.passage = undefined;
    if (read.session === undefined) return;
    read.session = undefined;
    this.#waiting.delete(read.commandId);
    const left = (this.#countOf.get(agentId) ?? 1) - 1;
    if (left === 0) this.#countOf.delete(agentId);
    else this.#countOf.set(agentId, left);
  }
}

/** Takes the deadline and the listener of the signal back. */
function release({ timer, request, onAbort }: Read): void {
  timer.cancel();
  request.signal.removeEventListener("abort", onAbort);
}

function tooLate(timeoutMs: number): FleetError {
  return new FleetError("DEADLINE_EXCEEDED", `no result came within ${Math.round(timeoutMs)} ms`);
}

function onlyWaits({ request }: Read): boolean {
  const { case: operation } = request.operation.operation;
  return operation !== undefined && operationTraits(operation).waits;
}
