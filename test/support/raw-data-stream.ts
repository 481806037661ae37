import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Client, ClientDuplexStream } from "@grpc/grpc-js";
import { sign } from "node:crypto";
import type { FleetError } from "../../src/domain/errors.ts";
import { AgentService } from "../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import {
  DataStreamRequestSchema,
  type StreamOpeningSchema,
} from "../../src/gen/fairlead/agent/v1/data_stream_pb.js";
import { fleetErrorFromGrpc } from "../../src/rpc/grpc-error.ts";
import { grpcMethod, type WireMessage, wireMessage } from "../../src/rpc/grpc-service.ts";
import { rawConnection, type RawIdentity } from "./raw-agent.ts";

/** One DataStream in the hands of a test: everything is said or left unsaid on purpose. */
export class RawDataStream {
  /** Resolves with the error that ended the stream. */
  readonly ended: Promise<FleetError>;
  readonly #identity: RawIdentity;
  /** Undefined: the connection is shared, and others end it. */
  readonly #ownClient: Client | undefined;
  readonly #stream: ClientDuplexStream<WireMessage, WireMessage>;

  /** Opens the stream on a plaintext connection of its own, or on one that is shared. */
  constructor(place: number | Client, identity: RawIdentity) {
    const client = typeof place === "number" ? rawConnection(place) : place;
    this.#identity = identity;
    this.#ownClient = client === place ? undefined : client;
    const { path, requestSerialize, responseDeserialize } = grpcMethod(AgentService.method.dataStream);
    this.#stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const { promise, resolve } = Promise.withResolvers<FleetError>();
    this.ended = promise;
    const end = (error: unknown) => resolve(fleetErrorFromGrpc(error));
    this.#stream.on("error", end);
    this.#stream.on("end", () => end(new Error("the stream ended without an error")));
    this.#stream.resume();
  }

  /** Shows a ticket as a well-behaved agent would, but for what is given. */
  open(ticket: Uint8Array, more: MessageInitShape<typeof StreamOpeningSchema> = {}): void {
    const { agentId, privateKey } = this.#identity;
    const signature = sign(null, Buffer.concat([Buffer.from("fairlead-data-v1\0"), ticket]), privateKey);
    const value = { ticket, agentId, signature, ...(more as object) };
    const request = create(DataStreamRequestSchema, { message: { case: "opening", value } });
    this.sendBytes(toBinary(DataStreamRequestSchema, request));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#stream.write(wireMessage(bytes));
  }

  /** Says politely that nothing more comes. */
  halfClose(): void {
    this.#stream.end();
  }

  /** Vanishes. */
  close(): void {
    this.#stream.cancel();
    this.#ownClient?.close();
  }
}
