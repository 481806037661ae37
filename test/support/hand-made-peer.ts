import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { setTimeout as delay } from "node:timers/promises";
import { flags, frame, frameTypes, headerBlock, preface } from "./http2-frames.ts";

/** One frame that came in. */
export interface ReceivedFrame {
  readonly type: number;
  readonly flag: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

const ping = frame(frameTypes.ping, flags.none, 0, Buffer.alloc(8));

/** The client's end of a connection of HTTP/2 on which every frame is said or left unsaid on purpose. */
export class HandMadePeer {
  readonly socket: Socket;
  /** Every frame that came in, in order. */
  readonly received: ReceivedFrame[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #isOver = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("close", () => {
      this.#isOver = true;
      this.#wake();
    });
  }

  /** A connection on which nothing was said yet; with TLS where there is an authority to trust (PEM). */
  static async dial(port: number, ca: string | undefined, protocol = "h2"): Promise<HandMadePeer> {
    const where = { port, host: "127.0.0.1" };
    const socket =
      ca === undefined
        ? connectTcp(where)
        : connectTls({ ...where, ca, servername: "localhost", ALPNProtocols: [protocol] });
    const peer = new HandMadePeer(socket);
    await once(socket, ca === undefined ? "connect" : "secureConnect");
    return peer;
  }

  /** Says what begins a connection, with these settings. */
  begin(settings: Uint8Array = Buffer.alloc(0)): void {
    this.send(Buffer.concat([preface, frame(frameTypes.settings, flags.none, 0, settings)]));
  }

  /** Whether the other side has ended the connection. */
  get isOver(): boolean {
    return this.#isOver;
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** How many frames of a type came in, of those that acknowledge something or of the others. */
  count(type: number, isAck = false): number {
    return this.received.filter((one) => one.type === type && (one.flag & flags.ack) === (isAck ? 1 : 0))
      .length;
  }

  /** Waits for the first frame that satisfies the test. Undefined: the connection ended without. */
  async frame(test: (frame: ReceivedFrame) => boolean): Promise<ReceivedFrame | undefined> {
    for (;;) {
      const found = this.received.find(test);
      if (found !== undefined || this.#isOver) return found;
      await this.#news();
    }
  }

  /** Waits until the other side has ended the connection. */
  async over(): Promise<void> {
    while (!this.#isOver) await this.#news();
  }

  /**
   * Sends frames, so many at a time, and waits after each time until all were handled, which a PING tells. Returns how many were, once the
   * connection has ended or as soon as `max` were.
   */
  async flood(make: (at: number) => Uint8Array, { max = 50_000, step = 500 } = {}): Promise<number> {
    let handled = 0;
    while (handled < max && !this.#isOver) {
      const frames = Array.from({ length: step }, (_none, at) => make(handled + at));
      const acks = this.count(frameTypes.ping, true);
      this.send(Buffer.concat([...frames, ping]));
      while (!this.#isOver && this.count(frameTypes.ping, true) === acks) await this.#news();
      handled += step;
    }
    return handled;
  }

  /** Sends bytes one by one, and waits between them. Returns how many were sent before the other side had enough. */
  async drip(bytes: Uint8Array, everyMs: number): Promise<number> {
    let sent = 0;
    for (; sent < bytes.byteLength && !this.#isOver; sent += 1) {
      this.send(bytes.subarray(sent, sent + 1));
      await delay(everyMs);
    }
    return sent;
  }

  close(): void {
    this.socket.destroy();
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const bytes = this.#rest;
      const length = bytes.byteLength < 9 ? Number.POSITIVE_INFINITY : 9 + bytes.readUIntBE(0, 3);
      if (bytes.byteLength < length) break;
      this.received.push({
        type: bytes.readUInt8(3),
        flag: bytes.readUInt8(4),
        streamId: bytes.readUInt32BE(5),
        payload: bytes.subarray(9, length),
      });
      this.#rest = bytes.subarray(length);
    }
    this.#wake();
  }
}

/** The head of a call over gRPC. */
export function grpcHead(streamId: number, path: string, flag: number = flags.endHeaders, more = {}): Buffer {
  const block = headerBlock({
    ":method": "POST",
    ":scheme": "https",
    ":path": path,
    ":authority": "a",
    "content-type": "application/grpc",
    te: "trailers",
    ...more,
  });
  return frame(frameTypes.headers, flag, streamId, block);
}

/** A message of gRPC in one frame. */
export function grpcMessage(streamId: number, message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return frame(frameTypes.data, flags.none, streamId, Buffer.concat([head, message]));
}
