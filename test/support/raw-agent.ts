import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  type StatusObject,
} from "@grpc/grpc-js";
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import type { FleetError } from "../../src/domain/errors.ts";
import {
  AgentService,
  AgentStreamRequestSchema,
  type AgentStreamResponse,
  AgentStreamResponseSchema,
} from "../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import type { Command, CommandResultSchema } from "../../src/gen/fairlead/agent/v1/command_pb.js";
import type { AgentFrameSchema, ControlFrame } from "../../src/gen/fairlead/agent/v1/frame_pb.js";
import { type Challenge, HelloSchema, type Welcome } from "../../src/gen/fairlead/agent/v1/handshake_pb.js";
import { fleetErrorFromGrpc } from "../../src/rpc/grpc-error.ts";
import { grpcMethod, type WireMessage, wireMessage } from "../../src/rpc/grpc-service.ts";

export type HelloInit = MessageInitShape<typeof HelloSchema>;

/** What a raw agent keeps over its streams. */
export interface RawIdentity {
  privateKey: KeyObject;
  readonly publicKey: Uint8Array;
  engineId: string;
  readonly journalId: Uint8Array;
  agentId: string;
}

/** A fresh key pair, with an engine of its own. */
export function rawIdentity(engineId = `engine-${randomBytes(6).toString("hex")}`): RawIdentity {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return { privateKey, publicKey: raw, engineId, journalId: randomBytes(16), agentId: "" };
}

/** A connection that shares nothing with others. Trusts this authority (PEM), or has these credentials; without either it is plaintext. */
export function rawConnection(port: number, trust?: string | ChannelCredentials): Client {
  const security =
    typeof trust === "string"
      ? credentials.createSsl(Buffer.from(trust))
      : (trust ?? credentials.createInsecure());
  return new Client(`127.0.0.1:${port}`, security, { "grpc.use_local_subchannel_pool": 1 });
}

/** One AgentStream in the hands of a test: everything is said or left unsaid on purpose. */
export class RawAgent {
  readonly identity: RawIdentity;
  /** Resolves with the error that ended the stream. */
  readonly ended: Promise<FleetError>;
  /** Resolves with the trailers of the stream, as they were on the wire. */
  readonly status: Promise<StatusObject>;
  welcome: Welcome | undefined;
  /** Undefined: the connection is shared, and others end it. */
  readonly #ownClient: Client | undefined;
  readonly #stream: ClientDuplexStream<WireMessage, WireMessage>;
  readonly #inbox: AgentStreamResponse[] = [];
  readonly #commands: Command[] = [];
  readonly frames: ControlFrame[] = [];
  #waiting: (() => void)[] = [];
  #over = false;

  /** Opens the stream on a connection of its own, with this trust, or on one that is shared. */
  constructor(place: number | Client, identity = rawIdentity(), trust?: string | ChannelCredentials) {
    this.identity = identity;
    const client = typeof place === "number" ? rawConnection(place, trust) : place;
    this.#ownClient = client === place ? undefined : client;
    const { path, requestSerialize, responseDeserialize } = grpcMethod(AgentService.method.agentStream);
    this.#stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const { promise, resolve } = Promise.withResolvers<FleetError>();
    this.ended = promise;
    this.status = new Promise((resolveStatus) => void this.#stream.once("status", resolveStatus));
    this.#stream.on("data", (message: WireMessage) => {
      this.#inbox.push(fromBinary(AgentStreamResponseSchema, message));
      this.#sort();
      this.#wake();
    });
    const end = (error: unknown) => {
      this.#over = true;
      resolve(fleetErrorFromGrpc(error));
      this.#wake();
    };
    this.#stream.on("error", end);
    this.#stream.on("end", () => end(new Error("the stream ended without an error")));
  }

  /** Waits for the next challenge or welcome. */
  async #next<Case extends "challenge" | "welcome">(
    wanted: Case,
  ): Promise<AgentStreamResponse["message"] & { case: Case }> {
    const message = await this.#until(() => this.#inbox.shift()?.message);
    if (message.case !== wanted) throw new Error(`expected ${wanted}, got ${message.case}`);
    return message as AgentStreamResponse["message"] & { case: Case };
  }

  async challenge(): Promise<Challenge> {
    return (await this.#next("challenge")).value;
  }

  /** A hello as a well-behaved agent would say it. */
  hello(identity: HelloInit["identity"], more: HelloInit = {}): HelloInit {
    return {
      identity,
      hostFacts: {
        engineId: this.identity.engineId,
        hostname: "raw-host",
        operatingSystem: "Debian GNU/Linux 12",
      },
      agentVersion: "0.0.1-test",
      protocolVersion: 1,
      instanceId: randomBytes(16),
      journalId: this.identity.journalId,
      ...more,
    } as HelloInit;
  }

  /** Signs and sends a hello, or other bytes in its place. */
  sendHello(hello: HelloInit | Uint8Array, nonce: Uint8Array, key = this.identity.privateKey): void {
    const bytes = hello instanceof Uint8Array ? hello : toBinary(HelloSchema, create(HelloSchema, hello));
    this.sendMessage({ case: "hello", value: { hello: bytes, signature: this.sign(bytes, nonce, key) } });
  }

  /** The proof over a hello and a challenge. */
  sign(hello: Uint8Array, nonce: Uint8Array, key = this.identity.privateKey): Uint8Array {
    return sign(null, Buffer.concat([Buffer.from("fairlead-hello-v1\0"), nonce, hello]), key);
  }

  /** The whole registration. Rejects with the error that ended the stream. */
  async register(
    token: string,
    more: HelloInit = {},
    registration: Record<string, unknown> = {},
  ): Promise<Welcome> {
    const { nonce } = await this.challenge();
    const value = { token, publicKey: this.identity.publicKey, ...registration };
    this.sendHello(this.hello({ case: "registration", value }, more), nonce);
    return this.welcomed();
  }

  /** The whole reconnection. Rejects with the error that ended the stream. */
  async reconnect(more: HelloInit = {}): Promise<Welcome> {
    const { nonce } = await this.challenge();
    this.sendHello(
      this.hello({ case: "reconnection", value: { agentId: this.identity.agentId } }, more),
      nonce,
    );
    return this.welcomed();
  }

  /** Waits for the welcome. Rejects with the error that ended the stream. */
  async welcomed(): Promise<Welcome> {
    const { value } = await this.#next("welcome");
    this.identity.agentId = value.agentId;
    this.welcome = value;
    return value;
  }

  sendMessage(message: MessageInitShape<typeof AgentStreamRequestSchema>["message"]): void {
    const request = create(AgentStreamRequestSchema, message === undefined ? {} : { message });
    this.sendBytes(toBinary(AgentStreamRequestSchema, request));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#stream.write(wireMessage(bytes));
  }

  send(frame: MessageInitShape<typeof AgentFrameSchema>): void {
    this.sendMessage({ case: "frame", value: frame });
  }

  /** The next command, in the order in which they came. Rejects when the stream ends. */
  command(): Promise<Command> {
    return this.#until(() => this.#commands.shift());
  }

  /** Ends a command well. */
  succeed(command: Pick<Command, "commandId" | "attempt">, changed = false): void {
    this.result({ ...pick(command), end: { case: "outcome", value: { changed } } });
  }

  /** Ends a command badly. */
  fail(command: Pick<Command, "commandId" | "attempt">, reason: string, message = "", metadata = {}): void {
    const startedTime = { seconds: 1_700_000_000n, nanos: 0 };
    this.result({
      ...pick(command),
      startedTime,
      end: { case: "failure", value: { reason, message, metadata } },
    });
  }

  result(result: MessageInitShape<typeof CommandResultSchema>): void {
    this.send({ results: [result] });
  }

  accept(command: Pick<Command, "commandId" | "attempt">): void {
    this.send({ acceptances: [pick(command)] });
  }

  /** Waits for a frame that satisfies the test, among those that came and will come. */
  frame(test: (frame: ControlFrame) => boolean): Promise<ControlFrame> {
    return this.#until(() => this.frames.find(test));
  }

  /** Stops reading, as a hung process would. */
  pause(): void {
    this.#stream.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#stream.resume();
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

  #sort(): void {
    for (let last = this.#inbox.at(-1); last?.message.case === "frame"; last = this.#inbox.at(-1)) {
      this.#inbox.pop();
      this.frames.push(last.message.value);
      this.#commands.push(...last.message.value.commands);
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #until<Value>(take: () => Value | undefined): Promise<Value> {
    for (;;) {
      const value = take();
      if (value !== undefined) return value;
      if (this.#over) throw await this.ended;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }
}

function pick({ commandId, attempt }: Pick<Command, "commandId" | "attempt">) {
  return { commandId, attempt };
}
