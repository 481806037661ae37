import { FleetError } from "../../domain/errors.ts";
import type { OutputStream } from "./engine-streams.ts";

/** A piece of what a frame carries. */
export interface FramePiece {
  readonly stream: OutputStream;
  readonly data: Buffer;
  /** The frame ends with it. */
  readonly last: boolean;
}

const headerBytes = 8;
/** The channel on which the engine says that it failed in the middle of an answer. */
const systemErrors = 3;
/** So much of such a message is kept. */
const maxErrorBytes = 4096;

/**
 * Takes apart Docker's multiplexed stream: frames of eight bytes (channel, three zeros, length) and so many of data. Keeps
 * nothing but a header, however large a frame is.
 */
export class FrameDecoder {
  readonly #header = Buffer.alloc(headerBytes);
  #headerLength = 0;
  #left = 0;
  #error = "";

  /** Whether the stream may end here. */
  get betweenFrames(): boolean {
    return this.#headerLength === 0;
  }

  /**
   * What the chunk holds; the data are views of it. Throws `ENGINE_FAILED` for what is no such stream, and with the engine's
   * own words when it says that it failed.
   */
  *decode(chunk: Buffer): Generator<FramePiece> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerLength < headerBytes) {
        at += this.#readHeader(chunk, at);
        if (this.#headerLength < headerBytes) {
          return;
        }
      }
      const data = chunk.subarray(at, at + this.#left);
      at += data.length;
      this.#left -= data.length;
      const last = this.#left === 0;
      if (data.length > 0 || last) {
        yield this.#piece(data, last);
      }
    }
  }

  #readHeader(chunk: Buffer, at: number): number {
    const copied = chunk.copy(this.#header, this.#headerLength, at, at + headerBytes - this.#headerLength);
    this.#headerLength += copied;
    if (this.#headerLength === headerBytes) {
      if (this.#header.readUInt32BE(0) & 0xfc_ff_ff_ff) {
        throw new FleetError("ENGINE_FAILED", "the engine sent output that is not in frames");
      }
      this.#left = this.#header.readUInt32BE(4);
    }
    return copied;
  }

  #piece(data: Buffer, last: boolean): FramePiece {
    const channel = this.#header[0];
    if (last) {
      this.#headerLength = 0;
    }
    if (channel === systemErrors) {
      this.#error = (this.#error + data.toString("utf8")).slice(0, maxErrorBytes);
      if (last) {
        throw new FleetError("ENGINE_FAILED", this.#error.trim() || "the engine failed in the middle");
      }
      return { stream: "stderr", data: data.subarray(0, 0), last };
    }
    return { stream: channel === 2 ? "stderr" : "stdout", data, last };
  }
}
