import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Acceptance, CommandResult } from "../../gen/fairlead/agent/v1/command_pb.js";
import type { Hello } from "../../gen/fairlead/agent/v1/handshake_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import { operationTraits } from "../../rpc/operation-traits.ts";
import type { Storage } from "../../storage/storage.ts";
import type { AgentSession } from "../session/agent-session.ts";
import type { CommandTraffic } from "../session/command-traffic.ts";
import { acknowledgementItem } from "../session/control-items.ts";
import type { Sessions } from "../session/session-registry.ts";
import type { CommandJournal } from "./command-journal.ts";
import type { Dispatched, DispatchRequest } from "./dispatch-request.ts";
import { Mutations } from "./mutations.ts";
import { Reads } from "./reads.ts";
import { RequestKeys } from "./request-keys.ts";

/** What a dispatcher needs. */
export interface DispatcherParts {
  readonly sessions: Sessions;
  readonly journal: CommandJournal;
  readonly storage: Storage;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How many commands may be in flight for one agent. Default 1,024, docs/protocol.md "Limits". */
  readonly maxInFlightEach?: number;
}

/**
 * The one way for commands to agents and for their results back. Every promise settles: with the result, with a
 * `FleetError` that names the command, or with the reason of the caller's signal.
 */
export class Dispatcher implements CommandTraffic {
  readonly #reads: Reads;
  readonly #mutations: Mutations;
  readonly #journal: CommandJournal;
  readonly #sessions: Sessions;
  readonly #logger: Logger;
  #strayResults = 0;
  #draining: FleetError | undefined;
  #idle: (() => void)[] = [];

  constructor({ maxInFlightEach = 1_024, ...parts }: DispatcherParts) {
    this.#reads = new Reads({ ...parts, maxInFlightEach });
    this.#mutations = new Mutations({ ...parts, maxInFlightEach, keys: new RequestKeys(parts) });
    this.#journal = parts.journal;
    this.#sessions = parts.sessions;
    this.#logger = parts.logger;
  }

  /** How many callers wait for a result now. */
  get inFlight(): number {
    return this.#reads.inFlight + this.#mutations.inFlight;
  }

  /** How many results came that nobody could use: late, unknown, or for a command of another agent. */
  get strayResults(): number {
    return this.#strayResults;
  }

  /** Sends a command to a host's agent and waits for its result. */
  async dispatch(request: DispatchRequest): Promise<Dispatched> {
    if (this.#draining !== undefined) throw this.#draining;
    const { case: operation } = request.operation.operation;
    if (operation === undefined) {
      throw new FleetError("OPERATION_UNSUPPORTED", "a command without an operation");
    }
    const traits = operationTraits(operation);
    const timeoutMs = request.timeoutMs ?? traits.defaultTimeoutMs + (request.graceMs ?? 0);
    try {
      return await (traits.mutates
        ? this.#mutations.run(request, traits, timeoutMs)
        : this.#reads.run(request, timeoutMs));
    } finally {
      this.#checkIdle();
    }
  }

  /** A host was deleted: its open commands end as OUTCOME_UNKNOWN. */
  hostRemoved(agentId: string): Promise<void> {
    return this.#mutations.abandon(agentId);
  }

  /** Accepts nothing new. Resolves when nobody waits any more, or when the signal aborts. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#draining ??= new FleetError("DRAINING", "the control plane is going away", { retryAfterMs: 5_000 });
    if (this.inFlight === 0 || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle.push(resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
  }

  /** Lets go of every caller that still waits for a journaled command; the command goes on. To be called after `drain`. */
  close(): void {
    this.#mutations.close(
      new FleetError(
        "DRAINING",
        "the control plane went away; the command goes on and can be asked for later",
      ),
    );
  }

  async settled(agentId: string, heldCommandIds: readonly string[]): Promise<string[]> {
    const known = await Promise.all(
      heldCommandIds.filter((id) => this.#journal.open(id) === undefined).map((id) => this.#journal.find(id)),
    );
    return known.filter((record) => record?.agentId === agentId).map((record) => record?.id ?? "");
  }

  opened(session: AgentSession, hello: Hello): void {
    this.#mutations.reconcile(session, hello.runningCommandIds, hello.heldResultCommandIds);
  }

  accepted(session: AgentSession, acceptance: Acceptance): void {
    this.#mutations.accepted(session, acceptance);
  }

  ended(session: AgentSession, result: CommandResult): void {
    session.logger.debug({ command_id: result.commandId, end: result.end.case }, "result");
    if (this.#reads.settle(session, result) || this.#mutations.settle(session, result)) return;
    void this.#stray(session, result.commandId);
  }

  invalid(session: AgentSession, commandId: string, error: FleetError): void {
    if (this.#reads.fail(session, commandId, error) || this.#mutations.fail(session, commandId, error)) {
      return;
    }
    void this.#stray(session, commandId);
  }

  closed(session: AgentSession, reason: FleetError): void {
    this.#reads.closed(session, reason);
  }

  /**
   * A result that nobody waits for: of a read that was given up, or of a command that has ended already. The agent may
   * forget it, unless it is about another agent's command: then this one has no say.
   */
  async #stray(session: AgentSession, commandId: string): Promise<void> {
    this.#strayResults += 1;
    const { agentId } = session.identity;
    try {
      const record = await this.#journal.find(commandId);
      const foreign = record !== undefined && record.agentId !== agentId;
      session.logger[foreign ? "warn" : "debug"](
        { command_id: commandId, foreign },
        "a result that nobody waits for",
      );
      if (!foreign && this.#journal.open(commandId) === undefined) {
        this.#sessions.current(agentId)?.send(acknowledgementItem(commandId));
      }
    } catch (error) {
      this.#logger.error({ err: error, command_id: commandId }, "a late result could not be looked up");
    }
  }

  #checkIdle(): void {
    if (this.inFlight > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}
