import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { FleetError } from "../../domain/errors.ts";
import { OperationSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import type { ExecResponseSchema, ExecStart } from "../../gen/fairlead/container/v1/exec_service_pb.js";
import type { ProcessInput } from "../../gen/fairlead/container/v1/process_pb.js";
import { EventType } from "../../gen/fairlead/event/v1/event_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { type Actor, doneBy } from "../events/actor.ts";
import type { EventLog } from "../events/event-log.ts";
import type { HostIdentity } from "../inventory/host-view.ts";
import type { DataStream } from "../streams/data-stream.ts";
import type { DataStreams } from "../streams/data-streams.ts";

/** What a session needs. */
export interface ExecSessionParts {
  readonly dataStreams: Pick<DataStreams, "open">;
  readonly events: Pick<EventLog, "record">;
  readonly clock: Clock;
}

/** Where a process runs. */
export interface ExecTarget {
  readonly host: HostIdentity;
  readonly containerId: string;
  readonly containerName: string;
}

/** Which process, for whom. */
export interface ExecWish {
  readonly target: ExecTarget;
  readonly start: ExecStart;
  readonly actor: Actor;
  readonly signal: AbortSignal;
}

type Answer = NonNullable<MessageInitShape<typeof ExecResponseSchema>["message"]>;

/** A process that somebody started in a container, from its start to its exit code. Its beginning and its end are events. */
export class ExecSession {
  readonly commandId: string;
  readonly target: ExecTarget;
  readonly #parts: ExecSessionParts;
  readonly #wish: ExecWish;
  readonly #stream: DataStream;
  readonly #beganMs: number;
  #inputBytes = 0;
  #outputBytes = 0;

  private constructor(
    parts: ExecSessionParts,
    wish: ExecWish,
    opened: { commandId: string; stream: DataStream },
  ) {
    this.#parts = parts;
    this.#wish = wish;
    this.target = wish.target;
    this.commandId = opened.commandId;
    this.#stream = opened.stream;
    this.#beganMs = parts.clock.monotonic();
    const tty = { tty: `${wish.start.tty}` };
    const program = wish.start.process?.command[0];
    this.#record(EventType.EXEC_STARTED, program === undefined ? tty : { ...tty, program });
  }

  /** Starts the process, or attaches. Rejects as `DataStreams.open` does. The session must be read to its end, or left. */
  static async open(parts: ExecSessionParts, wish: ExecWish): Promise<ExecSession> {
    const { target, start, actor, signal } = wish;
    const { process, tty, stdin, terminalSize } = start;
    const opened = await parts.dataStreams.open({
      host: target.host,
      container: target.containerId,
      containerName: target.containerName,
      operation: (ticket) =>
        create(OperationSchema, {
          operation: {
            case: "openProcess",
            value: {
              ticket,
              container: target.containerId,
              tty,
              stdin,
              ...(process && { process }),
              ...(terminalSize && { terminalSize }),
            },
          },
        }),
      timeoutMs: undefined,
      caller: actor.name,
      callerKeyId: actor.keyId,
      callerAddress: actor.address,
      signal,
    });
    return new ExecSession(parts, wish, opened);
  }

  /** What it writes, and at last its exit code. Throws when it broke off. However it is left, the process ends with it. */
  async *output(signal: AbortSignal): AsyncGenerator<Answer, void> {
    let end: Record<string, string> = { reason: "CANCELLED" };
    try {
      for await (const message of this.#stream.messages(signal)) {
        if (message.case !== "output") continue;
        this.#outputBytes += message.value.data.byteLength;
        yield message;
      }
      const { exitCode = 0 } = this.#stream;
      end = { exit_code: `${exitCode}` };
      yield { case: "exit", value: { exitCode } };
    } catch (error) {
      end = { reason: error instanceof FleetError ? error.reason : "INTERNAL" };
      throw error;
    } finally {
      this.#record(EventType.EXEC_ENDED, { ...end, ...this.#figures() });
    }
  }

  /** Gives it one input, and waits until its host has room for more. Rejects when it has ended. */
  async give(input: ProcessInput["input"], signal: AbortSignal): Promise<void> {
    if (input.case === "data") this.#inputBytes += input.value.byteLength;
    await this.#stream.send({ case: "input", value: { input } }, signal);
  }

  /** Gives it all of these. An input that breaks off, or a rule, ends the process. Never rejects. */
  async feed(inputs: AsyncIterable<ProcessInput["input"]>, signal: AbortSignal): Promise<void> {
    try {
      for await (const input of inputs) await this.give(input, signal);
    } catch (error) {
      this.#stream.end(
        error instanceof FleetError ? error : new FleetError("CANCELLED", "the input broke off"),
      );
    }
  }

  #figures(): Record<string, string> {
    return {
      duration_ms: `${Math.round(this.#parts.clock.monotonic() - this.#beganMs)}`,
      input_bytes: `${this.#inputBytes}`,
      output_bytes: `${this.#outputBytes}`,
    };
  }

  #record(type: EventType, attributes: Record<string, string>): void {
    const { host, containerId, containerName } = this.target;
    const kind = this.#wish.start.process === undefined ? "attach" : "exec";
    this.#parts.events.record({
      type,
      hostId: host.hostId,
      hostName: host.hostName,
      containerId,
      containerName,
      commandId: this.commandId,
      ...doneBy(this.#wish.actor, { kind, ...attributes }),
    });
  }
}
