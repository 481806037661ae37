import type { MessageInitShape } from "@bufbuild/protobuf";
import type { OperationOutcomeSchema } from "../../../gen/fairlead/agent/v1/operation_pb.js";
import type { Preconditions } from "../../../gen/fairlead/container/v1/preconditions_pb.js";
import type { Engine, EngineContainer } from "../../engine/engine.ts";
import type { Clock } from "../../../resilience/clock.ts";
import type { Effects, EventCauses } from "../../inventory/event-causes.ts";
import type { ContainerMirror } from "../../inventory/container-mirror.ts";
import type { DataStreams } from "../../streams/data-streams.ts";
import { PolicyGate } from "../policy/policy-gate.ts";
import type { PolicyFile } from "../policy/policy-file.ts";
import type { SelfProtection } from "../self-protection.ts";
import { checkPreconditions } from "./preconditions.ts";

/** A good end, as the schema has it. */
export type Outcome = MessageInitShape<typeof OperationOutcomeSchema>;

/** What operations need of the agent's rooms. */
export interface OperationRooms {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly mirror: ContainerMirror;
  /** Is told what commands do, to know it again among the engine's events. */
  readonly causes: Pick<EventCauses, "begin">;
  readonly protection: SelfProtection;
  /** Streams beside the session, for what does not fit into a result. */
  readonly streams: Pick<DataStreams, "run" | "begin">;
  /** What the host's owner allows. */
  readonly policy: Pick<PolicyFile, "current">;
  /** Adds what the agent knows beyond the engine: `protected`, `observed_time`. */
  readonly complete: (container: EngineContainer) => EngineContainer;
}

/**
 * One run of an operation: the rooms, when to stop, and how far it came. Whether an engine was asked to change
 * something decides what a broken call means.
 */
export class OperationContext {
  readonly rooms: OperationRooms;
  /** Aborts when the time is up or nobody wants the outcome any more. */
  readonly signal: AbortSignal;
  /** What the host's policy says of this run. */
  readonly gate: PolicyGate;
  readonly #preconditions: Preconditions | undefined;
  readonly #pass: () => Promise<void>;
  readonly #begin: (containerId: string | undefined) => Effects;
  readonly #leaveTurn: () => void;
  #changing = false;
  #target: EngineContainer | undefined;
  #effects: Effects | undefined;

  /** `pass` rejects when this process may not act any more; `begin` is called when the engine is about to be asked for a change; `leaveTurn` lets others have their turn. */
  constructor(
    rooms: OperationRooms,
    signal: AbortSignal,
    {
      preconditions,
      pass,
      begin,
      leaveTurn,
    }: {
      readonly preconditions: Preconditions | undefined;
      pass(): Promise<void>;
      begin(containerId: string | undefined): Effects;
      leaveTurn(): void;
    },
  ) {
    this.rooms = rooms;
    this.signal = signal;
    this.gate = new PolicyGate(rooms.policy.current);
    this.#preconditions = preconditions;
    this.#pass = pass;
    this.#begin = begin;
    this.#leaveTurn = leaveTurn;
  }

  /** Whether the engine was asked to change something. Before that, it is certain that nothing was done. */
  get changing(): boolean {
    return this.#changing;
  }

  /** The container that `find` found. */
  get target(): EngineContainer | undefined {
    return this.#target;
  }

  /**
   * The container that is meant, which the host's policy lets be touched, and which is what the command's preconditions want;
   * otherwise rejects with `DENIED_BY_HOST_POLICY` or `PRECONDITION_FAILED`. A full id that the mirror knows costs no round trip, unless there are preconditions;
   * everything else is asked of the engine, because a name may belong to another container by now.
   */
  async find(container: string): Promise<EngineContainer> {
    const { complete, engine, mirror } = this.rooms;
    const known = this.#preconditions === undefined ? mirror.get(container) : undefined;
    this.#target = known ?? complete(await engine.getContainer(container, this.signal));
    this.gate.judge(this.#target);
    if (this.#preconditions !== undefined) checkPreconditions(this.#preconditions, this.#target);
    return this.#target;
  }

  /** Asks the engine to change something, unless it is too late for that, another process may act for the agent by now, or the host's policy was not asked. */
  async change<Value>(ask: () => Promise<Value>): Promise<Value> {
    await this.#pass();
    this.signal.throwIfAborted();
    this.gate.requireVerdict();
    this.#changing = true;
    this.#effects ??= this.#begin(this.#target?.id);
    return await ask();
  }

  /** The container that the change made: what happens to it is the command's doing. */
  created(containerId: string): void {
    this.#effects?.created(containerId);
  }

  /** The run has ended. Whether it changed something, as far as anybody knows. */
  end(changed: boolean): void {
    this.#effects?.end(changed);
  }

  /** What is left only waits: from now on it neither keeps other commands for its container from theirs, nor counts for what runs at once. */
  leaveTurn(): void {
    this.#leaveTurn();
  }

  /** The container as it is afterwards. What was done stays done when that cannot be seen: then as it was before. */
  async after(before: EngineContainer): Promise<EngineContainer> {
    const { complete, engine } = this.rooms;
    try {
      return complete(await engine.getContainer(before.id, this.signal));
    } catch {
      return before;
    }
  }
}
