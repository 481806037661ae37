import { fromBinary, type MessageInitShape, create, toBinary } from "@bufbuild/protobuf";
import { type ChannelCredentials, Client, type ClientDuplexStream } from "@grpc/grpc-js";
import { FleetError } from "../../domain/errors.ts";
import {
  AgentService,
  type AgentStreamResponse,
  AgentStreamResponseSchema,
  AgentStreamRequestSchema,
} from "../../gen/fairlead/agent/v1/agent_service_pb.js";
import { untilAborted } from "../../resilience/signals.ts";
import type { FrameSink } from "../../rpc/frame-writer.ts";
import { channelOptions } from "../../rpc/agent-channel.ts";
import { fleetErrorFromGrpc } from "../../rpc/grpc-error.ts";
import { grpcMethod, type WireMessage, wireMessage } from "../../rpc/grpc-service.ts";

/** What the control plane says, by its kind; `case` undefined: a kind that this version does not know. */
export type ControlMessage = AgentStreamResponse["message"];

/** One connection with one AgentStream on it. Whoever dials must close it. */
export class AgentConnection {
  readonly #client: Client;
  readonly #call: ClientDuplexStream<WireMessage, WireMessage>;
  readonly #messages: AsyncIterator<WireMessage>;

  /** Dials `server`, "host:port". */
  constructor(server: string, security: ChannelCredentials) {
    const method = grpcMethod(AgentService.method.agentStream);
    this.#client = new Client(server, security, channelOptions);
    this.#call = this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
    );
    // Whoever reads is told by the iterator; when nobody reads any more, the error is of no interest.
    this.#call.on("error", () => undefined);
    this.#messages = this.#call[Symbol.asyncIterator]();
  }

  /** The writable side, for frames. */
  get sink(): FrameSink {
    return this.#call;
  }

  /** Sends one message that is not a frame. */
  send(message: MessageInitShape<typeof AgentStreamRequestSchema>): void {
    this.#call.write(
      wireMessage(toBinary(AgentStreamRequestSchema, create(AgentStreamRequestSchema, message))),
    );
  }

  /**
   * The next message. Rejects with the signal's reason, with what ended the stream, `SESSION_LOST` when it just ended, and
   * `PROTOCOL_VIOLATION` for what does not decode.
   */
  async next(signal: AbortSignal): Promise<ControlMessage> {
    const read = await untilAborted(this.#read(), signal);
    if (read.done === true) throw new FleetError("SESSION_LOST", "the control plane ended the stream");
    try {
      return fromBinary(AgentStreamResponseSchema, read.value).message;
    } catch (error) {
      throw new FleetError("PROTOCOL_VIOLATION", "the control plane sent what does not decode", {
        cause: error,
      });
    }
  }

  /** Says that nothing more will be sent. */
  finish(): void {
    this.#call.end();
  }

  /** Ends stream and connection now. */
  close(): void {
    this.#call.cancel();
    this.#client.close();
  }

  async #read(): Promise<IteratorResult<WireMessage, unknown>> {
    try {
      return await this.#messages.next();
    } catch (error) {
      throw fleetErrorFromGrpc(error);
    }
  }
}
