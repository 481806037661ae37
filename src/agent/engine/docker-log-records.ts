import type { LogRecord, OutputStream } from "./engine-streams.ts";
import { FleetError } from "../../domain/errors.ts";
import { FrameDecoder } from "./docker-frames.ts";
import { logTimeAt } from "./docker-log-time.ts";

/** Docker's records are a twentieth of it at most. A longer one, of whatever engine, is told in parts of this size. */
export const maxRecordBytes = 1024 * 1024;

/**
 * The records of a log without a TTY, in which each frame is one record with its time in front. Holds one record. Throws
 * `ENGINE_UNAVAILABLE` when the stream ends inside a frame.
 */
export async function* recordsOfFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<LogRecord> {
  const decoder = new FrameDecoder();
  const building = new RecordBuilder();
  for await (const chunk of chunks) {
    for (const { stream, data, last } of decoder.decode(chunk)) {
      for (const record of building.add(stream, data, last)) {
        yield record;
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

  *add(stream: OutputStream, data: Buffer, last: boolean): Generator<LogRecord> {
    let rest = data;
    while (this.#bytes + rest.length > maxRecordBytes) {
      const fits = maxRecordBytes - this.#bytes;
      this.#keep(rest.subarray(0, fits));
      rest = rest.subarray(fits);
      yield this.#take(stream);
      this.#begun = true;
    }
    this.#keep(rest);
    if (last) {
      const record = this.#take(stream);
      this.#begun = false;
      yield record;
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
