import { secondsFromNs } from "../../../domain/nanoseconds.ts";
import type { LogRecord } from "../../engine/engine-streams.ts";
import type { StreamOutput } from "../../streams/data-stream.ts";
import type { LineFilter } from "./line-filter.ts";
import type { LogPosition, PlacedRecord } from "./log-positions.ts";
import { LogWriter } from "./log-writer.ts";

/** Which records are wanted. */
export interface LogWishes {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Undefined: every line. */
  readonly lines: LineFilter | undefined;
}

/** What is sent: records, written already, or that some are missing. */
export type LogMessage = Uint8Array | Extract<StreamOutput, { case: "missingLogs" }>;

// A message is as large as the engine's own pieces of a line: what waits for a slow reader is counted in messages.
const messageBytes = 16 * 1024;
const maxRecords = 1024;

/**
 * A log as messages for a data stream: many records in one message while they come quickly, and none held back when nothing more comes at
 * the moment.
 */
export async function* logMessages(
  source: AsyncIterable<readonly PlacedRecord[]>,
  wishes: LogWishes,
): AsyncGenerator<LogMessage, void> {
  const batch = new Batch(wishes);
  const iterator = source[Symbol.asyncIterator]();
  const turn = new Turn();
  try {
    for (;;) {
      const next = iterator.next();
      if (batch.isHeld && (await turn.endsBefore(next))) yield batch.finish();
      const read = await next;
      if (read.done === true) break;
      // Not `yield*`, which would wait for a promise even where a record completes no message.
      for (const message of batch.take(read.value)) yield message;
    }
  } finally {
    turn.forget();
    await iterator.return?.();
  }
  for (const message of batch.end()) yield message;
}

class Batch {
  readonly #wishes: LogWishes;
  readonly #writer = new LogWriter();
  /** Behind the last record that nothing before it is held back of. */
  #position: LogPosition | undefined;

  constructor(wishes: LogWishes) {
    this.#wishes = wishes;
  }

  /** Whether something waits to be sent. */
  get isHeld(): boolean {
    return this.#writer.records > 0;
  }

  /** The messages that are complete with these records. */
  *take(records: readonly PlacedRecord[]): Generator<LogMessage, void> {
    const { lines } = this.#wishes;
    for (const placed of records) {
      if (placed.kind === "gap") {
        if (this.isHeld) yield this.finish();
        yield gapMessage(placed);
        continue;
      }
      const { record, sequence } = placed;
      const isWanted = this.#wishes[record.stream];
      for (const through of isWanted ? (lines?.take(record) ?? [record]) : []) {
        const full = this.#put(through);
        if (full !== undefined) yield full;
      }
      if (lines?.holds !== true) this.#position = { timeNs: record.timeNs, sequence };
    }
  }

  /** The message with what is held. */
  finish(): LogMessage {
    return this.#writer.finish(this.#position);
  }

  /** What is left at the end of the log. */
  *end(): Generator<LogMessage, void> {
    for (const record of this.#wishes.lines?.end() ?? []) {
      const full = this.#put(record);
      if (full !== undefined) yield full;
    }
    if (this.isHeld) yield this.finish();
  }

  /** The message that was full without it, if it was. */
  #put(record: LogRecord): LogMessage | undefined {
    const { bytes, records } = this.#writer;
    const isFull = bytes + record.data.byteLength > messageBytes || records >= maxRecords;
    const full = isFull && this.isHeld ? this.finish() : undefined;
    this.#writer.put(record);
    return full;
  }
}

function gapMessage({ afterNs, beforeNs }: Extract<PlacedRecord, { kind: "gap" }>): LogMessage {
  const beforeTime = beforeNs === undefined ? undefined : secondsFromNs(beforeNs);
  return {
    case: "missingLogs",
    value: { afterTime: secondsFromNs(afterNs), ...(beforeTime && { beforeTime }) },
  };
}

/** The turn of the event loop that goes on now, with one immediate for whatever is asked within it. */
class Turn {
  #immediate: NodeJS.Immediate | undefined;
  #end: () => void = () => {};

  /** Whether it ends before the promise settles; either way the promise's rejection is taken. One question at a time. */
  async endsBefore(promise: Promise<unknown>): Promise<boolean> {
    const { promise: first, resolve } = Promise.withResolvers<boolean>();
    const settled = () => resolve(false);
    promise.then(settled, settled);
    this.#end = () => resolve(true);
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      this.#end();
    });
    return await first;
  }

  /** Leaves no immediate behind. */
  forget(): void {
    clearImmediate(this.#immediate);
  }
}
