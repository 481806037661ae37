import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Command } from "../../gen/fairlead/agent/v1/command_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import type { TimerWheel } from "../../resilience/timer-wheel.ts";
import type { AgentLimits } from "../config.ts";
import { admit } from "./admission.ts";
import { CommandRun } from "./command-run.ts";
import type { CommandSink } from "./command-sink.ts";
import { ContainerOrder } from "./container-order.ts";
import { Fence, fenced } from "./fence.ts";
import type { Journal } from "./journal.ts";
import { encodedOperation } from "./operations/command-codec.ts";
import { type CommandEnd, encodedResult, isRetryable, withoutOutput } from "./operations/command-result.ts";
import { OperationContext, type OperationRooms } from "./operations/operation-context.ts";
import { runOperation } from "./operations/operations.ts";
import { lookedUp } from "./recovery.ts";
import { isHarmful } from "./self-protection.ts";

/** What an executor is made of. */
export interface ExecutorOptions {
  readonly rooms: OperationRooms;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly timers: Pick<TimerWheel, "schedule">;
  readonly limits: AgentLimits;
  readonly logger: Logger;
}

/**
 * Runs commands, each to its single end: in the order of their container, at most so many at once, never longer than
 * they may, and never twice. What changes something is in the journal before it starts, and its result before it is
 * sent; once begun it goes on when the session ends, and its result waits for the next one. What has not begun waits as well. Reads
 * end with their session.
 */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #order: ContainerOrder;
  readonly #inFlight = new Map<string, CommandRun>();
  readonly #finishing = new Set<Promise<void>>();
  /** What has left its turn and has not ended. */
  readonly #outOfTurn = new Set<Promise<void>>();
  #sink: CommandSink | undefined;
  readonly #fence = new Fence();
  #draining = false;
  #closed = false;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    // What is about to stop lets everything come to its turn, to end it.
    const isOpen = () => this.#draining || (this.#fence.open && this.#sink?.congested !== true);
    this.#order = new ContainerOrder(options.limits.concurrentCommands, isOpen);
  }

  /** Ids of commands that were accepted and have not ended, also of an earlier process. */
  runningIds(): string[] {
    const accepted = [...this.#inFlight.values()].filter(({ traits }) => traits.mutates);
    const written = this.#options.journal.running().map(({ commandId }) => commandId);
    return [...new Set([...written, ...accepted.map(({ commandId }) => commandId)])];
  }

  /** Commands come from this session now, and acceptances and results go to it. */
  beginSession(sink: CommandSink): void {
    this.#sink = sink;
    this.#fence.begin(sink);
    for (const run of this.#inFlight.values()) {
      if (!run.traits.mutates || !this.#fence.isOutdated(run.epoch) || run.state !== "waiting") continue;
      this.#stop(run, fenced("another process may have had this agent's session before the command began"));
    }
    this.#order.pump();
  }

  /** The session is over, for this reason: nobody waits for its reads any more. */
  endSession(sink: CommandSink, { reason }: FleetError): void {
    this.#fence.end(sink, reason);
    if (this.#sink === sink) this.#sink = undefined;
    for (const run of this.#inFlight.values()) {
      if (run.sink !== sink || run.traits.mutates) continue;
      this.#stop(run, new FleetError("AGENT_DISCONNECTED", "the session of the command ended"));
    }
    this.#order.pump();
  }

  /** The session has room again. */
  resume(): void {
    this.#order.pump();
  }

  /** Takes a command. Every command with an id is answered through the sink, now or later. */
  submit(command: Command): void {
    const admission = admit(command, {
      journal: this.#options.journal,
      largestEpoch: this.#fence.largestEpoch,
      draining: this.#draining,
      full: this.#order.waiting >= this.#options.limits.queuedCommands,
      isInFlight: (commandId) => this.#inFlight.has(commandId),
    });
    switch (admission.kind) {
      case "run":
        this.#take(
          new CommandRun(command, admission.operation, this.#sink, this.#options.clock.monotonic()),
          command,
        );
        return;
      case "known":
        this.#acceptAgain(command);
        return;
      case "ended":
        this.#sink?.ended(command.commandId, admission.result);
        return;
      case "refused":
        this.#refuse(command, admission.error);
    }
  }

  /** Nobody wants these any more: what has not begun never begins, what runs is asked to stop. */
  cancel(commandIds: readonly string[]): void {
    for (const commandId of commandIds) {
      const run = this.#inFlight.get(commandId);
      if (run !== undefined) this.#stop(run, new FleetError("CANCELLED", "the command was cancelled"));
    }
  }

  /** Tells the session of the moment how a command of an earlier process ended. */
  tell(commandId: string, result: Uint8Array): void {
    this.#sink?.ended(commandId, result);
  }

  /** Takes nothing new. Resolves when everything has ended. */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const run of this.#inFlight.values()) {
      if (run.traits.waits) this.#stop(run, new FleetError("DRAINING", "the agent is about to stop"));
    }
    this.#order.pump();
    await this.#idle();
  }

  /** Stops what runs and resolves when nothing does. What was in the middle of a change is settled by the next process. */
  async close(): Promise<void> {
    this.#draining = true;
    this.#closed = true;
    for (const run of this.#inFlight.values()) {
      this.#stop(run, new FleetError("DRAINING", "the agent stopped before the command began"));
    }
    this.#sink = undefined;
    this.#order.pump();
    await this.#idle();
  }

  #take(run: CommandRun, command: Command): void {
    const { journal, rooms, timers } = this.#options;
    const { commandId, attempt, epoch, traits } = run;
    this.#inFlight.set(commandId, run);
    const timeoutMs = command.timeout === undefined ? traits.defaultTimeoutMs : durationMs(command.timeout);
    const late = () =>
      this.#stop(run, new FleetError("DEADLINE_EXCEEDED", `not done within ${timeoutMs} ms`));
    run.timer = timers.schedule(timeoutMs, late);
    if (traits.mutates) {
      // Environment values stay out of the journal: only what a look can tell something about is kept.
      const isTelling = traits.converges || isHarmful(run.operation.case);
      const operation = isTelling ? encodedOperation(command) : new Uint8Array();
      run.accepted = journal.accept({ commandId, attempt, epoch, operation });
      run.accepted.then(
        () => this.#sink?.accepted(commandId, attempt),
        () => undefined, // told to whoever runs it
      );
    }
    if (traits.waits) {
      this.#takeAside(run);
      return;
    }
    // A name under which something waits already keeps its order, also when its id has become known meanwhile.
    const given = run.container === "" ? commandId : run.container;
    const key = this.#order.has(given) ? given : (rooms.mirror.resolve(given) ?? given);
    this.#order.add(key, () => this.#run(run));
  }

  /** Begins at once, out of any order, with its own bound. */
  #takeAside(run: CommandRun): void {
    const { commandsOutOfTurn } = this.#options.limits;
    if (this.#outOfTurn.size >= commandsOutOfTurn) {
      this.#stop(run, new FleetError("AGENT_BUSY", `${commandsOutOfTurn} commands wait at the agent`));
      return;
    }
    run.state = "running";
    this.#goOn(this.#toEnd(run, () => undefined));
  }

  #goOn(ending: Promise<void>): void {
    const going = ending.finally(() => this.#outOfTurn.delete(going));
    this.#outOfTurn.add(going);
  }

  #acceptAgain({ commandId, attempt }: Command): void {
    const run = this.#inFlight.get(commandId);
    if (run !== undefined && !run.traits.mutates) return;
    (run?.accepted ?? Promise.resolve()).then(
      () => this.#sink?.accepted(commandId, run?.attempt ?? attempt),
      () => undefined, // told to whoever runs it
    );
  }

  #refuse({ commandId, attempt, sessionEpoch }: Command, error: FleetError): void {
    const fields = {
      command_id: commandId,
      agent_id: this.#sink?.agentId,
      session_epoch: sessionEpoch,
      attempt,
    };
    this.#options.logger.warn({ ...fields, reason: error.reason }, `command refused: ${error.message}`);
    if (commandId === "" || commandId.length > 64) return;
    const endedMs = this.#options.clock.now();
    this.#sink?.ended(
      commandId,
      encodedResult({ commandId, attempt, startedMs: undefined, endedMs, end: { error } }),
    );
  }

  #stop(run: CommandRun, error: FleetError): void {
    if (run.state === "running") {
      run.controller.abort(error);
    } else if (run.state === "waiting") {
      run.state = "ended";
      this.#keep(run, { error });
    }
  }

  /** Resolves when its turn is over: when it has ended, or when what is left of it only waits. */
  async #run(run: CommandRun): Promise<void> {
    if (run.state === "ended") return;
    run.state = "running";
    const turn = Promise.withResolvers<void>();
    const ending = this.#toEnd(run, () => {
      if (this.#outOfTurn.size >= this.#options.limits.commandsOutOfTurn) return;
      this.#goOn(ending);
      turn.resolve();
    });
    await Promise.race([ending, turn.promise]);
  }

  async #toEnd(run: CommandRun, leaveTurn: () => void): Promise<void> {
    const end = await this.#execute(run, leaveTurn);
    run.state = "ended";
    if (end === undefined) this.#forget(run);
    else this.#keep(run, end);
  }

  // The next command need not wait for the disk: the ends of one turn are one commit, however few may run at once.
  #keep(run: CommandRun, end: CommandEnd): void {
    if (!run.traits.mutates) {
      void this.#finish(run, end);
      return;
    }
    const finishing = this.#finish(run, end).finally(() => this.#finishing.delete(finishing));
    this.#finishing.add(finishing);
  }

  /** Resolves when nothing waits, runs, or is being written down. */
  async #idle(): Promise<void> {
    await this.#order.idle();
    await Promise.all(this.#outOfTurn);
    await Promise.all(this.#finishing);
  }

  /** Undefined: it was broken off in the middle of a change, and the next process has to look. */
  async #execute(run: CommandRun, leaveTurn: () => void): Promise<CommandEnd | undefined> {
    const { clock, rooms } = this.#options;
    const { preconditions } = run;
    const pass = () => this.#fence.pass(run.epoch);
    const begin = (containerId: string | undefined) =>
      rooms.causes.begin(run.commandId, run.operation.case, containerId);
    const means = { preconditions, pass, begin, leaveTurn };
    const context = new OperationContext(rooms, run.controller.signal, means);
    let changed = true;
    try {
      await run.accepted;
      if (run.traits.mutates) await pass();
      run.controller.signal.throwIfAborted();
      run.startedMs = clock.now();
      const outcome = await runOperation(run.operation, context);
      changed = outcome.changed === true;
      return { outcome };
    } catch (error) {
      const failure = this.#known(error, run);
      const isBroken = failure.reason === "OUTCOME_UNKNOWN" || failure === run.controller.signal.reason;
      if (!isBroken || !context.changing) return { error: failure };
      if (this.#closed) return undefined;
      const container = context.target?.id ?? run.container;
      return await lookedUp(run.operation, container, failure, { rooms, clock });
    } finally {
      context.end(changed);
    }
  }

  #known(error: unknown, run: CommandRun): FleetError {
    if (error instanceof FleetError) return error;
    this.#options.logger.error({ ...run.logFields(), err: error }, "command failed by a fault of the agent");
    return new FleetError("OPERATION_FAILED", "the agent failed; its log says why", { cause: error });
  }

  /** Never rejects: a result that cannot be written down is told all the same, and logged. */
  async #finish(run: CommandRun, end: CommandEnd): Promise<void> {
    const { clock, journal, logger } = this.#options;
    const { commandId, attempt, startedMs, traits } = run;
    const result = encodedResult({ commandId, attempt, startedMs, endedMs: clock.now(), end });
    if (traits.mutates) {
      const kept = withoutOutput(end);
      const written =
        kept === end
          ? result
          : encodedResult({ commandId, attempt, startedMs, endedMs: clock.now(), end: kept });
      await journal.finish(commandId, written, isRetryable(end), result).catch((error: unknown) => {
        logger.error({ ...run.logFields(), err: error }, "result cannot be written to the journal");
      });
    }
    this.#forget(run);
    this.#log(run, end);
    if (traits.mutates || run.sink === this.#sink) this.#sink?.ended(commandId, result);
  }

  #forget(run: CommandRun): void {
    run.timer?.cancel();
    this.#inFlight.delete(run.commandId);
  }

  #log(run: CommandRun, end: CommandEnd): void {
    const { clock, logger } = this.#options;
    const level = run.traits.mutates ? "info" : "debug";
    if (!logger.isLevelEnabled(level)) return;
    const reason = "error" in end ? end.error.reason : undefined;
    const durationMs = Math.round(clock.monotonic() - run.arrivedMs);
    logger[level](
      { ...run.logFields(), reason, duration_ms: durationMs },
      reason === undefined ? "command done" : "command failed",
    );
  }
}
