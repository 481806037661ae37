import { secondsFromNs } from "../../../domain/nanoseconds.ts";
import { OutputStream } from "../../../gen/fairlead/container/v1/log_pb.js";
import type { LogRecord } from "../../engine/engine-streams.ts";
import type { StreamOutput } from "../../streams/data-stream.ts";
import type { LineFilter } from "./line-filter.ts";
import type { LogPosition, PlacedRecord } from "./log-positions.ts";

type Records = Extract<StreamOutput, { case: "logs" }>["value"];
type WireRecord = NonNullable<Records["records"]>[number];

/** Which records are wanted. */
export interface LogWishes {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Undefined: every line. */
  readonly lines: LineFilter | undefined;
}

// A message is as large as the engine's own pieces of a line: what waits for a slow reader is counted in messages.
const messageBytes = 16 * 1024;
// What a record costs on the wire besides its data.
const recordBytes = 32;
const maxRecords = 1024;
// Far below what a record may carry; the engine's own records are no longer than half of it.
const maxDataBytes = 32 * 1024;

/**
 * A log as messages for a data stream: many records in one message while they come quickly, and none held back when nothing more comes at
 * the moment.
 */
export async function* logMessages(
  source: AsyncIterable<PlacedRecord>,
  wishes: LogWishes,
): AsyncGenerator<StreamOutput, void> {
  const batch = new Batch(wishes);
  const iterator = source[Symbol.asyncIterator]();
  const turn = new Turn();
  try {
    for (;;) {
      const next = iterator.next();
      if (batch.isHeld && (await turn.endsBefore(next))) yield* batch.flush();
      const read = await next;
      if (read.done === true) break;
      yield* batch.take(read.value);
    }
  } finally {
    turn.forget();
    await iterator.return?.();
  }
  yield* batch.end();
}

class Batch {
  readonly #wishes: LogWishes;
  #records: WireRecord[] = [];
  #bytes = 0;
  /** Behind the last record that nothing before it is held back of. */
  #position: LogPosition | undefined;

  constructor(wishes: LogWishes) {
    this.#wishes = wishes;
  }

  /** Whether something waits to be flushed. */
  get isHeld(): boolean {
    return this.#records.length > 0;
  }

  *take(placed: PlacedRecord): Generator<StreamOutput, void> {
    if (placed.kind === "gap") {
      yield* this.flush();
      yield gapMessage(placed);
      return;
    }
    const { record, position } = placed;
    const { lines } = this.#wishes;
    const isWanted = this.#wishes[record.stream];
    for (const through of isWanted ? (lines?.take(record) ?? [record]) : []) {
      if (this.#bytes + through.data.byteLength > messageBytes || this.#records.length >= maxRecords) {
        yield* this.flush();
      }
      this.#put(through);
    }
    if (lines?.holds !== true) this.#position = position;
  }

  *flush(): Generator<StreamOutput, void> {
    if (this.#records.length === 0) return;
    const records = this.#records;
    this.#records = [];
    this.#bytes = 0;
    const position = this.#position && {
      time: secondsFromNs(this.#position.timeNs),
      sequence: this.#position.sequence,
    };
    yield { case: "logs", value: { records, ...(position && { position }) } };
  }

  *end(): Generator<StreamOutput, void> {
    for (const record of this.#wishes.lines?.end() ?? []) this.#put(record);
    yield* this.flush();
  }

  #put({ stream, timeNs, data }: LogRecord): void {
    for (let from = 0; from === 0 || from < data.byteLength; from += maxDataBytes) {
      const piece = data.subarray(from, from + maxDataBytes);
      this.#records.push({
        stream: stream === "stdout" ? OutputStream.STDOUT : OutputStream.STDERR,
        time: secondsFromNs(timeNs),
        data: piece,
      });
      this.#bytes += piece.byteLength + recordBytes;
    }
  }
}

function gapMessage({ afterNs, beforeNs }: Extract<PlacedRecord, { kind: "gap" }>): StreamOutput {
  return {
    case: "missingLogs",
    value: {
      afterTime: secondsFromNs(afterNs),
      ...(beforeNs === undefined ? {} : { beforeTime: secondsFromNs(beforeNs) }),
    },
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
