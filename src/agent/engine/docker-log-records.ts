import type { LogRecord, OutputStream } from "./engine-streams.ts";
import { FleetError } from "../../domain/errors.ts";
import { FrameDecoder, type FramePiece } from "./docker-frames.ts";
import { logTimeAt } from "./docker-log-time.ts";

/** Docker's records are a twentieth of it at most. A longer one, of whatever engine, is told in parts of this size. */
export const maxRecordBytes = 1024 * 1024;

/**
 * The records of a log without a TTY, in which each frame is one record with its time in front: those of each chunk together. Holds one
 * record. Throws `ENGINE_UNAVAILABLE` when the stream ends inside a frame.
 */
export async function* recordsOfFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<readonly LogRecord[]> {
  const decoder = new FrameDecoder();
  const building = new RecordBuilder();
  for await (const chunk of chunks) {
    const records: LogRecord[] = [];
    try {
      for (const piece of decoder.decode(chunk)) {
        building.add(piece, records);
      }
    } finally {
      // Also those in front of what the engine says of its own failure.
      if (records.length > 0) {
        yield records;
      }
    }
  }
  if (!decoder.betweenFrames) {
    throw new FleetError("ENGINE_UNAVAILABLE", "the Docker Engine ended a log in the middle of a record");
  }
}

/** Puts one record together from the pieces of its frame. */
class RecordBuilder {
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** Its beginning, with the time, was told already. */
  #begun = false;
  #timeNs = 0n;

  add({ stream, data, last }: FramePiece, records: LogRecord[]): void {
    let rest = data;
    while (this.#bytes + rest.length > maxRecordBytes) {
      const fits = maxRecordBytes - this.#bytes;
      this.#keep(rest.subarray(0, fits));
      rest = rest.subarray(fits);
      records.push(this.#take(stream));
      this.#begun = true;
    }
    this.#keep(rest);
    if (last) {
      records.push(this.#take(stream));
      this.#begun = false;
    }
  }

  #keep(data: Buffer): void {
    this.#pieces.push(data);
    this.#bytes += data.length;
  }

  #take(stream: OutputStream): LogRecord {
    const [first] = this.#pieces;
    const whole = first !== undefined && this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    if (this.#begun) {
      return { stream, timeNs: this.#timeNs, data: whole };
    }
    // A record without a time is one of an engine that cannot tell it: it happened not before the one in front of it.
    const time = logTimeAt(whole, 0);
    this.#timeNs = time?.timeNs ?? this.#timeNs;
    return { stream, timeNs: this.#timeNs, data: whole.subarray(time?.bytes ?? 0) };
  }
}
