import type { LogRecord, OutputStream } from "./engine-streams.ts";

/** What can be read of a log: numbered records, of which the oldest may be gone. */
export interface SimulatedLogSource {
  /** The number of the oldest record that is still there. */
  first(): number;
  /** One more than the number of the newest. */
  end(): number;
  /** Undefined when it is gone. */
  at(index: number): LogRecord | undefined;
  /** The process has ended: what waits for its newline is recorded as it is. */
  flush(): void;
}

/** Docker's, too. */
const partBytes = 16 * 1024;
/** So much is kept; what is older is gone, as from a log that is rotated. */
const maxKeptBytes = 4 * 1024 * 1024;
const newline = 0x0a;

interface OpenLine {
  readonly rest: Buffer;
  /** Set once a part of the line was recorded. */
  readonly timeNs: bigint | undefined;
}

const noLine: OpenLine = { rest: Buffer.alloc(0), timeNs: undefined };

/** The log of a simulated container, cut into records as Docker does it: lines, and parts of long ones. */
export class SimulatedLog implements SimulatedLogSource {
  readonly #nowNs: () => bigint;
  readonly #lines: Record<OutputStream, OpenLine> = { stdout: noLine, stderr: noLine };
  #records: LogRecord[] = [];
  #first = 0;
  #bytes = 0;
  #lastTimeNs = 0n;

  constructor(nowNs: () => bigint) {
    this.#nowNs = nowNs;
  }

  /** Takes in what a process wrote. What has no newline yet waits for it. */
  write(stream: OutputStream, data: Uint8Array): void {
    let { rest, timeNs } = this.#lines[stream];
    rest = rest.length === 0 ? Buffer.from(data) : Buffer.concat([rest, data]);
    for (let end = endOfRecord(rest); end !== undefined; end = endOfRecord(rest)) {
      const recorded = this.#record(stream, rest.subarray(0, end), timeNs);
      timeNs = rest[end - 1] === newline ? undefined : recorded;
      rest = rest.subarray(end);
    }
    this.#lines[stream] = { rest, timeNs };
  }

  flush(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const { rest, timeNs } = this.#lines[stream];
      this.#lines[stream] = noLine;
      if (rest.length > 0) {
        this.#record(stream, rest, timeNs);
      }
    }
  }

  first(): number {
    return this.#first;
  }

  end(): number {
    return this.#first + this.#records.length;
  }

  at(index: number): LogRecord | undefined {
    return this.#records[index - this.#first];
  }

  #record(stream: OutputStream, data: Buffer, partOf: bigint | undefined): bigint {
    const now = this.#nowNs();
    // No two lines have the same time, so that a reader can name one by it.
    const timeNs = partOf ?? (now > this.#lastTimeNs ? now : this.#lastTimeNs + 1n);
    this.#lastTimeNs = timeNs > this.#lastTimeNs ? timeNs : this.#lastTimeNs;
    this.#records.push({ stream, timeNs, data: Buffer.from(data) });
    this.#bytes += data.length;
    if (this.#bytes > maxKeptBytes) {
      this.#rotate();
    }
    return timeNs;
  }

  /** Half at once, so that it costs little. */
  #rotate(): void {
    let dropped = 0;
    while (this.#bytes > maxKeptBytes / 2) {
      this.#bytes -= this.#records[dropped]?.data.length ?? 0;
      dropped += 1;
    }
    this.#records = this.#records.slice(dropped);
    this.#first += dropped;
  }
}

function endOfRecord(data: Buffer): number | undefined {
  const newlineAt = data.subarray(0, partBytes).indexOf(newline);
  return newlineAt >= 0 ? newlineAt + 1 : data.length >= partBytes ? partBytes : undefined;
}
