import type { Logger } from "pino";
import { validate as isUuid } from "uuid";
import { FleetError } from "../../domain/errors.ts";
import type { Acceptance, CommandResult } from "../../gen/fairlead/agent/v1/command_pb.js";
import type { Hello } from "../../gen/fairlead/agent/v1/handshake_pb.js";
import {
  type CircuitSettings,
  type CircuitState,
  defaultCircuitSettings,
} from "../../resilience/circuit-breaker.ts";
import type { Clock } from "../../resilience/clock.ts";
import { defaultRetrySettings, type RetrySettings } from "../../resilience/retry-schedule.ts";
import { untilAborted } from "../../resilience/signals.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import { type OperationTraits, operationTraits } from "../../rpc/operation-traits.ts";
import type { CommandRecord } from "../../storage/records.ts";
import type { CommandQuery } from "../../storage/command-repository.ts";
import type { Storage } from "../../storage/storage.ts";
import type { AgentSession } from "../session/agent-session.ts";
import type { CommandTraffic } from "../session/command-traffic.ts";
import { acknowledgementItem } from "../session/control-items.ts";
import type { Sessions } from "../session/session-registry.ts";
import { Arrivals } from "./arrivals.ts";
import { Circuits } from "./circuits.ts";
import type { CommandJournal, CommandWatcher } from "./command-journal.ts";
import { type CommandObserver, unobservedCommands } from "./command-observer.ts";
import { Deliveries } from "./deliveries.ts";
import type { Dispatched, DispatchRequest } from "./dispatch-request.ts";
import { Mutations } from "./mutations.ts";
import { Reads } from "./reads.ts";
import { RequestKeys } from "./request-keys.ts";

/** What may be set otherwise. */
export interface DispatchSettings {
  /** How many commands may be in flight for one agent. Default 1,024, docs/protocol.md "Limits". */
  readonly maxInFlightEach: number;
  readonly retry: RetrySettings;
  readonly circuit: CircuitSettings;
}

export const defaultDispatchSettings: DispatchSettings = {
  maxInFlightEach: 1_024,
  retry: defaultRetrySettings,
  circuit: defaultCircuitSettings,
};

/** What a dispatcher needs. */
export interface DispatcherParts {
  readonly sessions: Sessions;
  readonly journal: CommandJournal;
  readonly storage: Storage;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly settings: DispatchSettings;
  readonly observer?: CommandObserver;
}

/**
 * The one way for commands to agents and for their results back. Every promise settles: with the result, with a
 * `FleetError` that names the command, or with the reason of the caller's signal.
 */
export class Dispatcher implements CommandTraffic {
  readonly #reads: Reads;
  readonly #mutations: Mutations;
  readonly #deliveries: Deliveries;
  readonly #circuits: Circuits;
  readonly #arrivals: Arrivals;
  readonly #journal: CommandJournal;
  readonly #sessions: Sessions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #observer: CommandObserver;
  #strayResults = 0;
  #draining: FleetError | undefined;
  #idle: (() => void)[] = [];

  constructor({ settings, ...parts }: DispatcherParts) {
    const { observer = unobservedCommands } = parts;
    const shared = { ...parts, ...settings };
    this.#observer = observer;
    this.#circuits = new Circuits({ ...shared, onCircuitChange: (_, to) => observer.circuitChanged(to) });
    this.#arrivals = new Arrivals(parts.wheel);
    this.#deliveries = new Deliveries({ ...shared, circuits: this.#circuits });
    this.#reads = new Reads({ ...shared, circuits: this.#circuits });
    this.#mutations = new Mutations({
      circuits: this.#circuits,
      ...shared,
      deliveries: this.#deliveries,
      keys: new RequestKeys(parts),
    });
    this.#journal = parts.journal;
    this.#sessions = parts.sessions;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
  }

  /** Takes over what an earlier run left open. To be called once, after the journal has recovered. */
  begin(): void {
    for (const record of this.#journal.allOpen()) this.#deliveries.begin(record);
  }

  /** How many callers wait for a result now. */
  get inFlight(): number {
    return this.#reads.inFlight + this.#mutations.inFlight;
  }

  /** How many results came that nobody could use: late, unknown, or for a command of another agent. */
  get strayResults(): number {
    return this.#strayResults;
  }

  /** How many agents' commands are held back. */
  circuitCount(): { readonly open: number; readonly halfOpen: number } {
    return this.#circuits.count();
  }

  /** Whether commands are let through to an agent. */
  circuitState(agentId: string): CircuitState["kind"] {
    return this.#circuits.state(agentId);
  }

  /** Sends a command to a host's agent and waits for its result, or only writes it down where the request says so. */
  async dispatch(request: DispatchRequest): Promise<Dispatched> {
    if (this.#draining !== undefined) throw this.#draining;
    const { case: operation } = request.operation.operation;
    if (operation === undefined) {
      throw new FleetError("OPERATION_UNSUPPORTED", "a command without an operation");
    }
    const traits = operationTraits(operation);
    const timeoutMs = request.timeoutMs ?? traits.defaultTimeoutMs + (request.graceMs ?? 0);
    const startedAt = this.#clock.monotonic();
    try {
      const dispatched = await this.#dispatch(request, traits, timeoutMs);
      if (!traits.mutates) this.#readEnded(traits, undefined, startedAt);
      return dispatched;
    } catch (error) {
      if (!traits.mutates) this.#readEnded(traits, error, startedAt);
      else if (!isOfACommand(error)) this.#observer.refused(traits.name, error);
      throw error;
    } finally {
      this.#checkIdle();
    }
  }

  /** A command as it is now, ended or not. Rejects with COMMAND_NOT_FOUND. */
  find(commandId: string): Promise<CommandRecord> {
    return this.#mutations.find(commandId);
  }

  /** Commands as they are now, newest first. Rejects with STORAGE_UNAVAILABLE. */
  list(query: CommandQuery): Promise<CommandRecord[]> {
    return this.#journal.list(query);
  }

  /** Waits for a command's end for at most so long; then the command as it is. Rejects with the signal's reason. */
  async wait(commandId: string, timeoutMs: number, signal: AbortSignal): Promise<CommandRecord> {
    try {
      return await this.#mutations.wait(commandId, timeoutMs, signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof FleetError) || error.reason !== "DEADLINE_EXCEEDED") {
        throw error;
      }
      return this.find(commandId);
    }
  }

  /** Cancels a command: what was not sent ends at once, for the rest the agent is asked. Returns the command as it is after at most so long. */
  async cancel(commandId: string, timeoutMs: number, signal: AbortSignal): Promise<CommandRecord> {
    const open = this.#journal.open(commandId);
    if (open !== undefined) await this.#deliveries.cancel(open);
    return this.wait(commandId, timeoutMs, signal);
  }

  /** Tells the watcher of a command's changes. Returns how to stop; undefined when the command is not open. */
  watch(commandId: string, watcher: CommandWatcher): (() => void) | undefined {
    return this.#journal.watch(commandId, watcher);
  }

  /** A host was deleted: its open commands end, and its circuit is forgotten. */
  async hostRemoved(agentId: string): Promise<void> {
    this.#circuits.forget(agentId);
    await this.#deliveries.abandon(agentId);
  }

  /** Accepts nothing new. Resolves when nobody waits any more, or when the signal aborts. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#draining ??= new FleetError("DRAINING", "the control plane is going away", { retryAfterMs: 5_000 });
    this.#reads.endWaits(this.#draining);
    if (this.inFlight === 0 || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle.push(resolve);
    await untilAborted(promise, signal).catch(() => undefined);
  }

  /** Lets go of every caller that still waits for a journaled command; the command goes on. To be called after `drain`. */
  close(): void {
    const message = "the control plane went away; the command goes on and can be asked for later";
    this.#mutations.close(new FleetError("DRAINING", message));
    this.#deliveries.close();
    this.#journal.close();
  }

  async settled(agentId: string, heldCommandIds: readonly string[]): Promise<string[]> {
    const ended = heldCommandIds.filter((id) => this.#journal.open(id) === undefined);
    return this.#journal.ofAgent(agentId, ended);
  }

  async callerOf(agentId: string, commandId: string): Promise<string | undefined> {
    return isUuid(commandId) ? this.#journal.callerOf(agentId, commandId) : undefined;
  }

  opened(session: AgentSession, hello: Hello): void {
    this.#circuits.encourage(session.identity.agentId);
    this.#deliveries.reconcile(session, hello.runningCommandIds, hello.heldResultCommandIds);
    this.#arrivals.arrived(session.identity.agentId);
  }

  accepted(session: AgentSession, { commandId }: Acceptance): void {
    this.#deliveries.accepted(session, commandId);
  }

  ended(session: AgentSession, result: CommandResult): void {
    if (this.#logger.isLevelEnabled("debug")) {
      session.logger.debug({ command_id: result.commandId, end: result.end.case }, "result");
    }
    if (this.#reads.settle(session, result) || this.#deliveries.settle(session, result)) return;
    void this.#stray(session, result.commandId);
  }

  invalid(session: AgentSession, commandId: string, error: FleetError): void {
    if (this.#reads.fail(session, commandId, error) || this.#deliveries.fail(session, commandId, error)) {
      return;
    }
    void this.#stray(session, commandId);
  }

  closed(session: AgentSession, reason: FleetError): void {
    this.#reads.closed(session, reason);
  }

  #readEnded({ name }: OperationTraits, error: unknown, startedAt: number): void {
    this.#observer.readEnded(name, error, this.#clock.monotonic() - startedAt);
  }

  // Not asynchronous, like `#run`: each promise around a promise is one more for every read.
  #dispatch(request: DispatchRequest, traits: OperationTraits, timeoutMs: number): Promise<Dispatched> {
    const waits = request.whenOffline === "wait" && !this.#sessions.isOnline(request.host.agentId);
    return waits ? this.#whenOnline(request, traits, timeoutMs) : this.#run(request, traits, timeoutMs);
  }

  /** Waits for the agent to have a session, and does it in what is left of the time, which is counted in whole milliseconds. */
  async #whenOnline(
    request: DispatchRequest,
    traits: OperationTraits,
    timeoutMs: number,
  ): Promise<Dispatched> {
    const startedAt = this.#clock.monotonic();
    await this.#arrivals.wait(request.host.agentId, timeoutMs, request.signal);
    const waitedMs = Math.floor(this.#clock.monotonic() - startedAt);
    return await this.#run(request, traits, Math.max(1, timeoutMs - waitedMs));
  }

  #run(request: DispatchRequest, traits: OperationTraits, timeoutMs: number): Promise<Dispatched> {
    return traits.mutates
      ? this.#mutations.run(request, traits, timeoutMs)
      : this.#reads.run(request, timeoutMs);
  }

  /**
   * A result that nobody waits for: of a read that was given up, or of a command that has ended already. The agent may
   * forget it, unless it is about another agent's command: then this one has no say. An id that was never given is not repeated to it.
   */
  async #stray(session: AgentSession, commandId: string): Promise<void> {
    this.#strayResults += 1;
    this.#observer.strayResult();
    const { agentId } = session.identity;
    if (!isUuid(commandId)) {
      session.logger.warn("a result for no command");
      return;
    }
    try {
      const record = await this.#journal.find(commandId);
      const foreign = record !== undefined && record.agentId !== agentId;
      session.logger[foreign ? "warn" : "debug"](
        { command_id: commandId, foreign },
        "a result that nobody waits for",
      );
      if (!foreign) this.#sessions.current(agentId)?.send(acknowledgementItem(commandId));
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

/** Whether an error is the end of a command, or a word about one that goes on; its end is counted where it is stored. */
function isOfACommand(error: unknown): boolean {
  return error instanceof FleetError && error.metadata["command_id"] !== undefined;
}
