import type { MessageInitShape } from "@bufbuild/protobuf";
import { FleetError } from "../../domain/errors.ts";
import {
  type DataStreamRequest,
  DataStreamRequestSchema,
  DataStreamResponseSchema,
  type StreamEnd,
} from "../../gen/fairlead/agent/v1/data_stream_pb.js";
import { MessageStream } from "../../rpc/message-stream.ts";
import type { AgentCall } from "../session/agent-call.ts";
import type { WireMessage } from "../../rpc/grpc-service.ts";
import { errorFromFailure } from "../dispatch/command-end.ts";
import { type RelayedLogs, relayedLogs } from "./relayed-logs.ts";
import type { Carried } from "./stream-traffic.ts";

/** What an agent sends, but for the opening and the end; logs also without having been decoded. */
export type StreamMessage =
  | Exclude<DataStreamRequest["message"], { case: "opening" } | { case: "end" } | { case: undefined }>
  | { readonly case: "relayedLogs"; readonly value: RelayedLogs };

/** What an agent is sent, but for the acceptance. */
export type StreamInput = Exclude<
  NonNullable<MessageInitShape<typeof DataStreamResponseSchema>["message"]>,
  { case: "accepted" } | { case?: undefined }
>;

/**
 * The control plane's part of a data stream: what the agent sends is read when the caller is read, and what the caller sends is taken when the
 * agent takes it. It ends once: when the agent has said its end, when it breaks, or by `end`.
 */
export class DataStream {
  readonly #stream: MessageStream<typeof DataStreamRequestSchema, typeof DataStreamResponseSchema>;
  readonly #hangUp: (reason: FleetError | undefined) => void;
  #end: StreamEnd | undefined;
  #isOver = false;

  /** `hangUp` ends the call: well, or with a reason. It is called once. */
  constructor(call: AgentCall, hangUp: (reason: FleetError | undefined) => void) {
    this.#stream = new MessageStream(call, {
      incoming: DataStreamRequestSchema,
      outgoing: DataStreamResponseSchema,
    });
    this.#hangUp = hangUp;
    this.#stream.signal.addEventListener("abort", () => this.#over(undefined), { once: true });
  }

  /** Aborts when it is over. */
  get signal(): AbortSignal {
    return this.#stream.signal;
  }

  /** What it has carried. */
  get carried(): Carried {
    const { receivedBytes, sentBytes } = this.#stream.carried;
    return { upBytes: receivedBytes, downBytes: sentBytes };
  }

  /** The exit code that the agent said at the end. */
  get exitCode(): number | undefined {
    return this.#end?.exitCode;
  }

  /** The next message as it came, whatever it is. Undefined: no more. For the opening; everything later is read by `messages`. */
  async next(signal: AbortSignal): Promise<DataStreamRequest | undefined> {
    return await this.#stream.next(signal);
  }

  /** Tells the agent that it may begin. */
  accept(): void {
    // What the agent does not read at once waits in the call, and it is the first that it gets.
    this.#stream.send({ message: { case: "accepted", value: {} } }).catch(() => undefined);
  }

  /**
   * What the agent sends, until its end. Throws what the agent failed with, AGENT_DISCONNECTED when the stream broke off, what `end` was
   * told, and the signal's reason. However it is left, the stream is over then. `relaysLogs`: logs are not decoded where they need not be.
   */
  async *messages(signal: AbortSignal, relaysLogs = false): AsyncGenerator<StreamMessage, void> {
    try {
      for (;;) {
        const bytes = await this.#next(signal);
        if (bytes === undefined) throw brokeOff();
        const logs = relaysLogs ? relayedLogs(bytes) : undefined;
        if (logs !== undefined) {
          yield { case: "relayedLogs", value: logs };
          continue;
        }
        const { message } = this.#stream.decoded(bytes);
        if (message.case === "end") {
          this.#end = message.value;
          break;
        }
        if (message.case === "opening") throw new FleetError("PROTOCOL_VIOLATION", "a second opening");
        if (message.case !== undefined) yield message;
      }
      if (this.#end?.failure !== undefined) throw errorFromFailure(this.#end.failure);
      this.#over(undefined);
    } catch (error) {
      this.end(error instanceof FleetError ? error : notWanted());
      throw error;
    } finally {
      // The reader has left in the middle.
      this.end(notWanted());
    }
  }

  /** Sends something, and waits until the agent has room for more. Rejects when the stream is over. */
  async send(message: StreamInput, signal: AbortSignal): Promise<void> {
    await this.#stream.send({ message }, signal);
  }

  /** Ends it and tells the agent why. Only the first end counts. */
  end(reason: FleetError): void {
    this.#over(reason);
  }

  async #next(signal: AbortSignal): Promise<WireMessage | undefined> {
    try {
      return await this.#stream.nextBytes(signal);
    } catch (error) {
      // What `MessageStream` says of a call that went away is said of sessions.
      throw error instanceof FleetError && error.reason === "SESSION_LOST" ? brokeOff(error) : error;
    }
  }

  #over(reason: FleetError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#hangUp(reason);
    this.#stream.end(reason ?? new FleetError("CANCELLED", "the stream is over"));
  }
}

function brokeOff(cause?: FleetError): FleetError {
  return new FleetError("AGENT_DISCONNECTED", "the stream from the agent broke off", { cause });
}

function notWanted(): FleetError {
  return new FleetError("CANCELLED", "nobody reads the stream any more");
}
