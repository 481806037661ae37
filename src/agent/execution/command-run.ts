import type { Command } from "../../gen/fairlead/agent/v1/command_pb.js";
import type { Preconditions } from "../../gen/fairlead/container/v1/preconditions_pb.js";
import type { WheelTimer } from "../../resilience/timer-wheel.ts";
import { type OperationTraits, operationTraits } from "../../rpc/operation-traits.ts";
import type { CommandSink } from "./command-sink.ts";
import { containerOf, type KnownOperation } from "./operations/command-codec.ts";

/** How far a command has come: waiting for its turn, begun, or ended and about to be told. */
export type RunState = "waiting" | "running" | "ended";

/** One command from its arrival to its end. */
export class CommandRun {
  readonly commandId: string;
  readonly attempt: number;
  readonly epoch: number;
  readonly operation: KnownOperation;
  /** What must hold of the container. */
  readonly preconditions: Preconditions | undefined;
  readonly traits: OperationTraits;
  /** The container that it names. */
  readonly container: string;
  /** The session that brought it. */
  readonly sink: CommandSink | undefined;
  /** By the monotonic clock. */
  readonly arrivedMs: number;
  readonly controller = new AbortController();
  state: RunState = "waiting";
  /** By the wall clock. */
  startedMs: number | undefined;
  /** Takes its deadline back. */
  timer: WheelTimer | undefined;
  /** Settles when the journal has it; undefined for what is not journaled. */
  accepted: Promise<void> | undefined;

  constructor(command: Command, operation: KnownOperation, sink: CommandSink | undefined, arrivedMs: number) {
    this.commandId = command.commandId;
    this.attempt = command.attempt;
    this.epoch = command.sessionEpoch;
    this.operation = operation;
    this.preconditions = command.preconditions;
    this.traits = operationTraits(operation.case);
    this.container = containerOf(operation);
    this.sink = sink;
    this.arrivedMs = arrivedMs;
  }

  /** What each of its log lines carries. Never the operation's own values, which may be secret. */
  logFields(): Record<string, unknown> {
    return {
      command_id: this.commandId,
      agent_id: this.sink?.agentId,
      session_epoch: this.epoch,
      attempt: this.attempt,
      operation: this.traits.name,
      container: this.container,
    };
  }
}
