import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { WireMessage } from "./grpc-service.ts";

/** Where frames go: the writable side of a grpc-js stream. */
export interface FrameSink {
  /** Takes one message. False: no more until `drain`. */
  write(message: WireMessage): boolean;
  once(event: "drain", listener: () => void): unknown;
  off(event: "drain", listener: () => void): unknown;
}

/** What a writer is made of. */
export interface FrameWriterOptions {
  readonly sink: FrameSink;
  /** Number of the field of the stream's message that holds a frame. */
  readonly frameFieldNumber: number;
  /** Largest frame in bytes. */
  readonly maxFrameBytes: number;
  /** How many bytes may wait. */
  readonly maxQueuedBytes: number;
}

// Nothing is awaited while one writes, and `finish` leaves it empty: so it can be the same for all.
const headWriter = new BinaryWriter();

/**
 * Sends items in frames: all that are pushed while one callback of the event loop is dealt with, promises included, travel
 * together, as long as they fit; what waited for the whole turn would let the peer idle meanwhile. An item is a
 * serialised frame that holds only itself; protobuf defines that such messages put one behind the other are one message
 * with all their repeated fields (encoding guide, "last one wins" and merging), so that each item is serialised once
 * and counted exactly. When the peer reads slowly items wait here, up to a limit.
 */
export class FrameWriter {
  readonly #options: FrameWriterOptions;
  readonly #tag: number;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #scheduled = false;
  #blocked = false;
  #closed = false;
  #waiters: (() => void)[] = [];

  constructor(options: FrameWriterOptions) {
    this.#options = options;
    this.#tag = (options.frameFieldNumber << 3) | WireType.LengthDelimited;
  }

  /** How many bytes wait. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** How many items wait. */
  get queuedItems(): number {
    return this.#queue.length;
  }

  /** Whether an item of that size can ever be sent. */
  fits(bytes: number): boolean {
    return bytes <= this.#options.maxFrameBytes;
  }

  /** Queues an item, and keeps its memory no longer than until the peer has to be waited for. False, and nothing is queued, when too much waits already, the item is too large, or after `close`. */
  push(item: Uint8Array): boolean {
    if (this.#closed || !this.fits(item.byteLength)) return false;
    if (this.#queuedBytes + item.byteLength > this.#options.maxQueuedBytes) return false;
    this.#queue.push(this.#blocked ? Uint8Array.from(item) : item);
    this.#queuedBytes += item.byteLength;
    this.#schedule();
    return true;
  }

  /** Waits until at most `bytes` wait, or until `close`. */
  async drained(bytes = 0): Promise<void> {
    while (!this.#closed && this.#queuedBytes > bytes) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiters.push(resolve);
      await promise;
    }
  }

  /** Sends nothing more and forgets what waits. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#options.sink.off("drain", this.#onDrain);
    this.#wake();
  }

  #schedule(): void {
    if (this.#scheduled || this.#blocked) return;
    this.#scheduled = true;
    process.nextTick(this.#flush);
  }

  readonly #onDrain = (): void => {
    this.#blocked = false;
    this.#flush();
  };

  readonly #flush = (): void => {
    this.#scheduled = false;
    const queue = this.#queue;
    let sent = 0;
    while (sent < queue.length && !this.#blocked && !this.#closed) {
      const end = this.#endOfFrame(queue, sent);
      this.#send(queue.slice(sent, end));
      sent = end;
    }
    if (this.#closed) return;
    // An item may share its memory with others, which would stay as long as the peer does not read.
    this.#queue = sent === queue.length ? [] : queue.slice(sent).map((item) => Uint8Array.from(item));
    this.#wake();
  };

  #endOfFrame(queue: readonly Uint8Array[], start: number): number {
    let bytes = 0;
    let end = start;
    for (; end < queue.length; end += 1) {
      bytes += queue[end]?.byteLength ?? 0;
      if (bytes > this.#options.maxFrameBytes) break;
    }
    return end;
  }

  #send(items: readonly Uint8Array[]): void {
    const bytes = items.reduce((sum, item) => sum + item.byteLength, 0);
    const head = headWriter.uint32(this.#tag).uint32(bytes).finish();
    this.#queuedBytes -= bytes;
    if (this.#options.sink.write(Buffer.concat([head, ...items], head.byteLength + bytes))) return;
    this.#blocked = true;
    this.#options.sink.once("drain", this.#onDrain);
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
