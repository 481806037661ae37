import { FleetError } from "../../domain/errors.ts";
import { newId } from "../../domain/ids.ts";
import type { CommandResult } from "../../gen/fairlead/agent/v1/command_pb.js";
import type { OperationOutcome } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import type { AgentSession } from "../session/agent-session.ts";
import { commandItem } from "../session/control-items.ts";
import type { Sessions } from "../session/session-registry.ts";
import { errorFromFailure } from "./command-end.ts";
import {
  agentBusy,
  agentOffline,
  type Dispatched,
  type DispatchRequest,
  commandTooLarge,
} from "./dispatch-request.ts";

interface WaitingRead {
  readonly session: AgentSession;
  resolve(outcome: OperationOutcome): void;
  reject(error: unknown): void;
}

/**
 * Commands that only read. They are not journaled: when the session ends they fail at once, and may be sent again freely.
 * Every promise settles: with the result, when its time is over, when its signal aborts, or when the session ends.
 */
export class Reads {
  readonly #sessions: Sessions;
  readonly #wheel: TimerWheel;
  readonly #waiting = new Map<string, WaitingRead>();
  readonly #limitEach: number;
  readonly #countOf = new Map<string, number>();

  constructor(parts: { sessions: Sessions; wheel: TimerWheel; maxInFlightEach: number }) {
    this.#sessions = parts.sessions;
    this.#wheel = parts.wheel;
    this.#limitEach = parts.maxInFlightEach;
  }

  /** How many wait for a result now. */
  get inFlight(): number {
    return this.#waiting.size;
  }

  /** Sends the command and waits for its result. Rejects with a `FleetError` that has the command's id, or with the signal's reason. */
  async run(request: DispatchRequest, timeoutMs: number): Promise<Dispatched> {
    const { host, operation, signal } = request;
    signal.throwIfAborted();
    const session = this.#sessions.current(host.agentId);
    if (session === undefined) throw agentOffline(host);
    const commandId = newId();
    const item = commandItem({
      commandId,
      attempt: 1,
      sessionEpoch: session.identity.epoch,
      timeoutMs,
      operation,
    });
    if (!session.fits(item)) throw commandTooLarge(item.byteLength);
    if ((this.#countOf.get(host.agentId) ?? 0) >= this.#limitEach) {
      throw agentBusy(host, `${this.#limitEach} commands are in flight`);
    }
    if (!session.send(item)) throw agentBusy(host, "it reads too slowly");
    return { commandId, outcome: await this.#wait(commandId, session, timeoutMs, signal) };
  }

  /** Takes a result. False: it is not for a read of this session. */
  settle(session: AgentSession, result: CommandResult): boolean {
    const read = this.#of(session, result.commandId);
    if (read === undefined) return false;
    const { end, commandId } = result;
    if (end.case === "outcome") {
      read.resolve(end.value);
    } else {
      const error =
        end.case === "failure"
          ? errorFromFailure(end.value)
          : new FleetError("INVALID_RESULT", "the agent's result says neither success nor failure");
      read.reject(error.with({ command_id: commandId }));
    }
    return true;
  }

  /** Fails a read whose result is of no use. False: it is not for a read of this session. */
  fail(session: AgentSession, commandId: string, error: FleetError): boolean {
    const read = this.#of(session, commandId);
    read?.reject(error.with({ command_id: commandId }));
    return read !== undefined;
  }

  /** Fails all that wait for an answer over this session. */
  closed(session: AgentSession, reason: FleetError): void {
    for (const [commandId, read] of this.#waiting) {
      if (read.session !== session) continue;
      read.reject(
        new FleetError(
          "AGENT_DISCONNECTED",
          `the agent of host ${session.identity.hostName} went away: ${reason.message}`,
          {
            metadata: { command_id: commandId },
          },
        ),
      );
    }
  }

  #of(session: AgentSession, commandId: string): WaitingRead | undefined {
    const read = this.#waiting.get(commandId);
    return read?.session === session ? read : undefined;
  }

  async #wait(
    commandId: string,
    session: AgentSession,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<OperationOutcome> {
    const { agentId } = session.identity;
    const { promise, resolve, reject } = Promise.withResolvers<OperationOutcome>();
    const onAbort = () => reject(signal.reason);
    const timer = this.#wheel.schedule(timeoutMs, () => reject(tooLate(commandId, timeoutMs)));
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
}

function tooLate(commandId: string, timeoutMs: number): FleetError {
  return new FleetError("DEADLINE_EXCEEDED", `no result came within ${timeoutMs} ms`, {
    metadata: { command_id: commandId },
  });
}
