import { maxRecordBytes } from "./docker-log-records.ts";
import { logTimeAt, maxTimeBytes } from "./docker-log-time.ts";
import type { LogRecord } from "./engine-streams.ts";

/** Docker cuts a longer line into parts of so many bytes; where it replaces what is no UTF-8, a part becomes longer. */
const partBytes = 16 * 1024;
const newline = 0x0a;

/**
 * The records of a log with a TTY, which has times in front of records but no frames around them: those of each chunk together. Holds one
 * record.
 */
export async function* recordsOfTerminal(
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<readonly LogRecord[]> {
  const log = new TerminalLog();
  for await (const chunk of chunks) {
    const records = [...log.add(chunk)];
    if (records.length > 0) {
      yield records;
    }
  }
  const last = [...log.end()];
  if (last.length > 0) {
    yield last;
  }
}

/**
 * Finds the records again. One ends after its newline, or in front of the next one's time where it has no newline: the parts
 * of a long line all have the time of its first one, and behind the last words of a container that was started again stands
 * a later time. (What a process prints itself is earlier than the time of its record.)
 */
class TerminalLog {
  #held: Buffer = Buffer.alloc(0);
  /** Where the data of the record begin in `held`; undefined while its time has not been read. */
  #dataAt: number | undefined;
  /** What is before was searched already. */
  #searchedTo = 0;
  #timeNs = 0n;
  /** How times end here: in "Z " or in a zone. */
  #timeEnd = "Z ";
  #timeBytes = 0;

  *add(chunk: Buffer): Generator<LogRecord> {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    for (let end = this.#findEnd(); end !== undefined; end = this.#findEnd()) {
      yield this.#take(end);
    }
  }

  *end(): Generator<LogRecord> {
    this.#readTime();
    if (this.#held.length > (this.#dataAt ?? 0)) {
      yield this.#take(this.#held.length);
    }
  }

  #findEnd(): number | undefined {
    if (this.#dataAt === undefined && this.#held.length < maxTimeBytes && !this.#held.includes(newline)) {
      return undefined;
    }
    const dataAt = this.#readTime();
    const newlineAt = this.#held.indexOf(newline, this.#searchedTo);
    const lineEnd = newlineAt < 0 ? this.#held.length : newlineAt + 1;
    const next = this.#findTime(dataAt, lineEnd);
    const end = next ?? (newlineAt < 0 ? undefined : lineEnd);
    const longest = dataAt + maxRecordBytes;
    if ((end ?? lineEnd) > longest) {
      return longest;
    }
    // A time may stand across the end of what is there.
    this.#searchedTo = Math.max(dataAt, lineEnd - maxTimeBytes);
    return end;
  }

  #readTime(): number {
    if (this.#dataAt === undefined) {
      const time = logTimeAt(this.#held, 0);
      this.#dataAt = time?.bytes ?? 0;
      this.#searchedTo = this.#dataAt;
      if (time !== undefined) {
        this.#timeNs = time.timeNs;
        this.#timeBytes = time.bytes;
        this.#timeEnd =
          this.#held[time.bytes - 2] === 0x5a
            ? "Z "
            : this.#held.toString("latin1", time.bytes - 7, time.bytes);
      }
    }
    return this.#dataAt;
  }

  /** Where the time of the next record stands inside this line. */
  #findTime(dataAt: number, lineEnd: number): number | undefined {
    const line = this.#held.subarray(0, lineEnd);
    let found = line.indexOf(this.#timeEnd, this.#searchedTo, "latin1");
    for (; found >= 0; found = line.indexOf(this.#timeEnd, found + 1, "latin1")) {
      const at = found + this.#timeEnd.length - this.#timeBytes;
      const time = at > dataAt ? logTimeAt(line, at) : undefined;
      const continues = time?.timeNs === this.#timeNs && at - dataAt >= partBytes;
      if (time !== undefined && (continues || time.timeNs > this.#timeNs)) {
        return at;
      }
    }
    return undefined;
  }

  #take(end: number): LogRecord {
    const dataAt = this.#dataAt ?? 0;
    const data = this.#held.subarray(dataAt, end);
    this.#held = this.#held.subarray(end);
    // Behind a record that was only cut for its length the same record goes on, without a time.
    this.#dataAt = data.length === maxRecordBytes ? 0 : undefined;
    this.#searchedTo = 0;
    return { stream: "stdout", timeNs: this.#timeNs, data };
  }
}
