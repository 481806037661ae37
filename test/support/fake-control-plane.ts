import { createPublicKey, randomBytes, randomUUID, verify } from "node:crypto";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Server, type ServerDuplexStream, ServerCredentials } from "@grpc/grpc-js";
import { pino } from "pino";
import {
  AgentService,
  AgentStreamRequestSchema,
  AgentStreamResponseSchema,
} from "../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import { type CommandResult, CommandResultSchema } from "../../src/gen/fairlead/agent/v1/command_pb.js";
import type { AgentFrame, ControlFrameSchema } from "../../src/gen/fairlead/agent/v1/frame_pb.js";
import { type Hello, HelloSchema, type WelcomeSchema } from "../../src/gen/fairlead/agent/v1/handshake_pb.js";
import type { OperationSchema } from "../../src/gen/fairlead/agent/v1/operation_pb.js";
import type { PreconditionsSchema } from "../../src/gen/fairlead/container/v1/preconditions_pb.js";
import { grpcErrorFrom } from "../../src/rpc/grpc-error.ts";
import { grpcService, type WireMessage, wireMessage } from "../../src/rpc/grpc-service.ts";

type Call = ServerDuplexStream<WireMessage, WireMessage>;
type OperationInit = NonNullable<MessageInitShape<typeof OperationSchema>["operation"]>;

/** What a command carries besides its operation. */
interface Delivery {
  readonly id?: string;
  readonly attempt?: number;
  readonly epoch?: number;
  readonly timeoutMs?: number;
  readonly preconditions?: MessageInitShape<typeof PreconditionsSchema>;
}

/** How a fake control plane answers a hello. */
export interface FakeControlPlaneOptions {
  /** Listens there again. Default: any free port. */
  readonly port?: number;
  /** Default: 1 to 1. */
  readonly protocolRange?: readonly [number, number];
  /** Changes the welcome, or throws what ends the stream instead. */
  readonly welcome?: (hello: Hello, number: number) => MessageInitShape<typeof WelcomeSchema>;
}

/** What an agent sees of a control plane, without anything behind it: it welcomes, and tests say what comes then. */
export class FakeControlPlane {
  /** Every stream that was opened, in order. */
  readonly sessions: FakeSession[] = [];
  readonly options: FakeControlPlaneOptions;
  /** Raw public keys of the agents that registered here. */
  readonly keys = new Map<string, Uint8Array>();
  readonly #server = new Server({ "grpc.max_receive_message_length": 1024 * 1024 });
  #port = 0;

  private constructor(options: FakeControlPlaneOptions) {
    this.options = options;
    this.#server.addService(grpcService(AgentService), {
      agentStream: (call: Call) => {
        this.sessions.push(new FakeSession(call, this, this.sessions.length + 1));
      },
    });
  }

  static async start(options: FakeControlPlaneOptions = {}): Promise<FakeControlPlane> {
    const plane = new FakeControlPlane(options);
    plane.#port = await new Promise((resolve, reject) => {
      const done = (error: Error | null, port: number) => (error === null ? resolve(port) : reject(error));
      plane.#server.bindAsync(`127.0.0.1:${options.port ?? 0}`, ServerCredentials.createInsecure(), done);
    });
    return plane;
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** The n-th session (from 1), as soon as it was welcomed. */
  async session(number = 1): Promise<FakeSession> {
    const session = await eventually(`session ${number}`, () => this.sessions[number - 1]);
    await session.until("the welcome", () => session.welcomed || undefined);
    return session;
  }

  /** Ends everything at once, as a process that is killed does. */
  kill(): void {
    this.#server.forceShutdown();
  }
}

/** One stream of an agent, and all that came on it. */
export class FakeSession {
  readonly #call: Call;
  readonly #plane: FakeControlPlane;
  readonly #number: number;
  readonly #nonce = randomBytes(32);
  readonly #parts = new Map<string, Uint8Array[]>();
  hello!: Hello;
  welcomed = false;
  /** Why the handshake failed here. */
  refusal: unknown;
  ended = false;
  /** Every message as it came. */
  readonly messages: WireMessage[] = [];
  readonly frames: { readonly frame: AgentFrame; readonly atMs: number }[] = [];
  /** Results by command id; one that came twice is there twice. */
  readonly results: CommandResult[] = [];

  constructor(call: Call, plane: FakeControlPlane, number: number) {
    this.#call = call;
    this.#plane = plane;
    this.#number = number;
    const [minProtocolVersion, maxProtocolVersion] = plane.options.protocolRange ?? [1, 1];
    const challenge = { nonce: this.#nonce, minProtocolVersion, maxProtocolVersion };
    this.#write({ message: { case: "challenge", value: challenge } });
    call.on("data", (bytes: WireMessage) => this.#receive(bytes));
    call.on("end", () => {
      this.ended = true;
      call.end();
    });
    call.on("cancelled", () => {
      this.ended = true;
    });
    call.on("error", () => undefined);
  }

  /** Its fencing number, larger with each stream of this process, whoever listened. */
  readonly epoch = nextEpoch();

  /** Stops reading, or goes on. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  send(frame: MessageInitShape<typeof ControlFrameSchema>): void {
    this.#write({ message: { case: "frame", value: frame } });
  }

  /** Sends bytes as they are. */
  sendRaw(bytes: Uint8Array): void {
    this.#call.write(wireMessage(bytes));
  }

  /** Sends one command, and returns its id. */
  command(operation: OperationInit, delivery: Delivery = {}): string {
    const {
      id = randomUUID(),
      attempt = 1,
      epoch = this.epoch,
      timeoutMs = 30_000,
      preconditions,
    } = delivery;
    const timeout = durationFromMs(timeoutMs);
    const command = { commandId: id, attempt, sessionEpoch: epoch, timeout, operation: { operation } };
    this.send({ commands: [preconditions === undefined ? command : { ...command, preconditions }] });
    return id;
  }

  /** The result of a command, the `count`-th one. */
  async result(commandId: string, count = 1): Promise<CommandResult> {
    return await this.until(
      `result of ${commandId}`,
      () => this.results.filter((result) => result.commandId === commandId)[count - 1],
    );
  }

  /** All items of one kind, over all frames. */
  all<Kind extends "acceptances" | "inventory" | "hostEvents" | "resultParts">(kind: Kind): AgentFrame[Kind] {
    return this.frames.flatMap(({ frame }): unknown[] => frame[kind]) as AgentFrame[Kind];
  }

  /** Waits for the container in the inventory as the agent tells it, snapshot and deltas put together. */
  inventory(): Map<string, string> {
    const names = new Map<string, string>();
    for (const { update } of this.all("inventory")) {
      if (update.case === "snapshotBegin") names.clear();
      if (update.case === "container") names.set(update.value.id, update.value.name);
      if (update.case === "removedContainerId") names.delete(update.value);
    }
    return names;
  }

  async until<Value>(what: string, look: () => Value | undefined): Promise<Value> {
    return await eventually(what, look);
  }

  /** Ends the stream with an error, as a control plane does. */
  fail(error: unknown): void {
    this.#call.emit("error", grpcErrorFrom(error, pino({ level: "silent" })));
  }

  #write(message: MessageInitShape<typeof AgentStreamResponseSchema>): void {
    this.sendRaw(toBinary(AgentStreamResponseSchema, create(AgentStreamResponseSchema, message)));
  }

  #receive(bytes: WireMessage): void {
    this.messages.push(bytes);
    const { message } = fromBinary(AgentStreamRequestSchema, bytes);
    if (message.case === "hello") this.#greet(message.value.hello, message.value.signature);
    if (message.case === "frame") this.#take(message.value);
  }

  #greet(bytes: Uint8Array, signature: Uint8Array): void {
    this.hello = fromBinary(HelloSchema, bytes);
    try {
      const agentId = this.#proved(bytes, signature);
      const changed = this.#plane.options.welcome?.(this.hello, this.#number) ?? {};
      const usual = {
        agentId,
        hostId: "host-1",
        hostName: "host",
        sessionId: `s${this.#number}`,
        sessionEpoch: this.epoch,
        maxFrameBytes: 65_536,
        heartbeatInterval: durationFromMs(15_000),
        leaseDuration: durationFromMs(45_000),
      };
      this.#write({ message: { case: "welcome", value: { ...usual, ...changed } } });
      this.welcomed = true;
    } catch (error) {
      this.refusal = error;
      this.fail(error);
    }
  }

  #proved(bytes: Uint8Array, signature: Uint8Array): string {
    const { identity } = this.hello;
    const key =
      identity.case === "registration"
        ? identity.value.publicKey
        : this.#plane.keys.get(identity.value?.agentId ?? "");
    if (key === undefined) throw new Error("an agent that is not known here");
    const signed = Buffer.concat([Buffer.from("fairlead-hello-v1\0"), this.#nonce, bytes]);
    if (!verify(null, signed, publicKeyFrom(key), signature)) throw new Error("the signature is wrong");
    const agentId = identity.case === "reconnection" ? identity.value.agentId : "agent-1";
    this.#plane.keys.set(agentId, key);
    return agentId;
  }

  #take(frame: AgentFrame): void {
    this.frames.push({ frame, atMs: performance.now() });
    this.results.push(...frame.results);
    for (const { commandId, data, index, last } of frame.resultParts) {
      const parts = this.#parts.get(commandId) ?? [];
      this.#parts.set(commandId, parts);
      if (index !== parts.length) throw new Error(`part ${index} where ${parts.length} was due`);
      parts.push(data);
      if (last) this.results.push(fromBinary(CommandResultSchema, Buffer.concat(parts)));
    }
  }
}

let epochs = 0;

function nextEpoch(): number {
  epochs += 1;
  return epochs;
}

/** Looks again and again until there is something. The test's own time limit ends it. */
export async function eventually<Value>(
  what: string,
  look: () => Value | undefined,
  withinMs = 8000,
): Promise<Value> {
  const endMs = performance.now() + withinMs;
  for (;;) {
    const value = look();
    if (value !== undefined) return value;
    if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function publicKeyFrom(raw: Uint8Array) {
  const frame = Buffer.from("302a300506032b6570032100", "hex");
  return createPublicKey({ key: Buffer.concat([frame, raw]), format: "der", type: "spki" });
}
