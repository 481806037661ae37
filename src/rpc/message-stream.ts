import type { EventEmitter } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { FleetError } from "../domain/errors.ts";
import { fleetErrorFromGrpc } from "./grpc-error.ts";
import { type WireMessage, wireMessage } from "./grpc-service.ts";
import { violationsOf } from "./message-validator.ts";

/** Either end of a bidirectional grpc-js stream. */
export interface DuplexCall extends EventEmitter {
  /** Takes one message. Calls back when it is on its way to the peer. */
  write(message: WireMessage, sent: () => void): boolean;
  end(): unknown;
  pause(): unknown;
  resume(): unknown;
}

/** Who sends what. */
export interface MessageTypes<In extends DescMessage, Out extends DescMessage> {
  readonly incoming: In;
  readonly outgoing: Out;
}

// So much waits for a peer that does not read. grpc-js itself counts messages, 16 of any size; small ones count as a part of it here, too.
const windowBytes = 128 * 1024;
const leastMessageBytes = 8 * 1024;
// After so much, in either direction, a stream gives way to whatever else the process does.
const turnBytes = 16 * 1024;

/**
 * Typed messages over a grpc-js stream, with backpressure both ways: nothing is read before it is asked for, beyond the few messages that
 * grpc-js itself holds, and a sender waits while the peer does not read. One reader and one sender at a time. It leaves its listeners on
 * the call, which goes away with it.
 */
export class MessageStream<In extends DescMessage, Out extends DescMessage> {
  /** Aborts when the stream has ended or broken, with why. */
  readonly signal: AbortSignal;
  readonly #call: DuplexCall;
  readonly #types: MessageTypes<In, Out>;
  readonly #over = new AbortController();
  readonly #arrived: WireMessage[] = [];
  readonly #waiting: { reader?: (() => void) | undefined; sender?: (() => void) | undefined } = {};
  #waitingBytes = 0;
  readonly #reading = new Pace();
  readonly #sending = new Pace();
  #receivedBytes = 0;
  #sentBytes = 0;
  /** The peer sends nothing more. */
  #complete = false;

  constructor(call: DuplexCall, types: MessageTypes<In, Out>) {
    this.#call = call;
    this.#types = types;
    this.signal = this.#over.signal;
    call.pause();
    call.on("data", (message: WireMessage) => {
      this.#arrived.push(message);
      this.#receivedBytes += message.byteLength;
      call.pause();
      this.#wake();
    });
    call.on("end", () => {
      // A client is told of an error first, and of the end after it.
      this.#complete = !this.signal.aborted;
      this.#wake();
    });
    call.on("error", (error: unknown) => this.end(fleetErrorFromGrpc(error)));
    for (const event of ["cancelled", "close"]) call.on(event, () => this.end(gone()));
  }

  /** How much has come and gone, in bytes of messages. */
  get carried(): { readonly receivedBytes: number; readonly sentBytes: number } {
    return { receivedBytes: this.#receivedBytes, sentBytes: this.#sentBytes };
  }

  /**
   * The next message. Undefined: the peer sends nothing more. Rejects with what ended or broke the stream, with the signal's reason, with
   * PROTOCOL_VIOLATION for what does not decode and INVALID_ARGUMENT for what breaks a bound.
   */
  async next(signal: AbortSignal): Promise<MessageShape<In> | undefined> {
    const message = await this.nextBytes(signal);
    return message && this.decoded(message);
  }

  /** The same before it is decoded, for a reader that may not have to. */
  async nextBytes(signal: AbortSignal): Promise<WireMessage | undefined> {
    for (;;) {
      const message = this.#arrived.shift();
      if (message !== undefined) {
        await this.#reading.step(message.byteLength);
        return message;
      }
      if (this.#complete) return undefined;
      this.signal.throwIfAborted();
      signal.throwIfAborted();
      this.#call.resume();
      await this.#woken("reader", signal);
    }
  }

  /** What `nextBytes` gave, decoded and validated. Throws as `next` rejects. */
  decoded(message: WireMessage): MessageShape<In> {
    const { incoming } = this.#types;
    const decoded = decode(incoming, message);
    const violations = violationsOf(incoming, decoded);
    if (violations.length === 0) return decoded;
    throw new FleetError("INVALID_ARGUMENT", `a ${incoming.name} breaks its bounds`, { violations });
  }

  /** Sends a message, and waits until the peer has room for more. Rejects with what ended or broke the stream, and with the signal's reason. */
  async send(message: MessageInitShape<Out>, signal: AbortSignal = this.signal): Promise<void> {
    const { outgoing } = this.#types;
    await this.sendBytes(toBinary(outgoing, create(outgoing, message)), signal);
  }

  /** The same for a message that is written already. */
  async sendBytes(message: Uint8Array, signal: AbortSignal = this.signal): Promise<void> {
    this.signal.throwIfAborted();
    const bytes = wireMessage(message);
    this.#sentBytes += bytes.byteLength;
    this.#write(bytes);
    if (this.#waitingBytes < windowBytes) await this.#sending.step(bytes.byteLength);
    while (this.#waitingBytes >= windowBytes) {
      await this.#woken("sender", signal);
      this.signal.throwIfAborted();
    }
  }

  /** Says that nothing more will be sent. */
  finish(): void {
    this.#call.end();
  }

  /**
   * The stream is over, for this reason: nothing more is sent, and nothing read but what the peer had said before. Only the first call
   * counts. The call itself is left to whoever made it.
   */
  end(reason: FleetError): void {
    if (this.signal.aborted) return;
    this.#over.abort(reason);
    this.#wake();
  }

  #write(bytes: WireMessage): void {
    const cost = Math.max(bytes.byteLength, leastMessageBytes);
    this.#waitingBytes += cost;
    this.#call.write(bytes, () => {
      this.#waitingBytes -= cost;
      if (this.#waitingBytes < windowBytes) this.#waiting.sender?.();
    });
  }

  #wake(): void {
    this.#waiting.reader?.();
    this.#waiting.sender?.();
  }

  async #woken(as: "reader" | "sender", signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const onAbort = () => resolve();
    this.#waiting[as] = resolve;
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#waiting[as] = undefined;
    }
    signal.throwIfAborted();
  }
}

/** Keeps one stream from having the process for itself while there is always more to do. */
class Pace {
  #bytes = 0;

  /** So much more was done. */
  async step(bytes: number): Promise<void> {
    this.#bytes += bytes;
    if (this.#bytes < turnBytes) return;
    this.#bytes = 0;
    await turn();
  }
}

function decode<Desc extends DescMessage>(schema: Desc, message: WireMessage): MessageShape<Desc> {
  try {
    return fromBinary(schema, message);
  } catch (error) {
    throw new FleetError("PROTOCOL_VIOLATION", `a ${schema.name} does not decode`, { cause: error });
  }
}

function gone(): FleetError {
  return new FleetError("SESSION_LOST", "the other side went away");
}
