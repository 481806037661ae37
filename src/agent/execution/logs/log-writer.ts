import { WireType } from "@bufbuild/protobuf/wire";
import { secondsFromNs } from "../../../domain/nanoseconds.ts";
import { DataStreamRequestSchema, LogRecordsSchema } from "../../../gen/fairlead/agent/v1/data_stream_pb.js";
import { LogPositionSchema } from "../../../gen/fairlead/agent/v1/stream_operations_pb.js";
import { LogRecordSchema, OutputStream } from "../../../gen/fairlead/container/v1/log_pb.js";
import { writeMoment } from "../../../rpc/wire-times.ts";
import { WireWriter } from "../../../rpc/wire-writer.ts";
import type { LogRecord } from "../../engine/engine-streams.ts";
import type { LogPosition } from "./log-positions.ts";

// Far below what a record may carry; the engine's own records are no longer than half of it.
const maxDataBytes = 32 * 1024;
// What a record costs on the wire besides its data.
const recordBytes = 32;
// For some three messages of a log.
const slabBytes = 64 * 1024;

const logsField = DataStreamRequestSchema.field.logs.number;
const { records: recordsField, position: positionField } = LogRecordsSchema.field;
const recordFields = LogRecordSchema.field;
const positionFields = LogPositionSchema.field;

/**
 * Puts records into one message of a data stream after the other. Each is written when it comes: making messages of records only to write them
 * was the larger part of what a log cost the agent.
 */
export class LogWriter {
  readonly #writer = new WireWriter(slabBytes);
  #logs = 0;
  #records = 0;
  #bytes = 0;

  /** How many records the message has. */
  get records(): number {
    return this.#records;
  }

  /** How large it is, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** One more record, in pieces where it is longer than one may be. */
  put({ stream, timeNs, data }: LogRecord): void {
    const { seconds, nanos } = secondsFromNs(timeNs);
    const output = stream === "stdout" ? OutputStream.STDOUT : OutputStream.STDERR;
    if (this.#records === 0) {
      this.#logs = this.#writer.begin().tag(logsField, WireType.LengthDelimited).fork();
    }
    for (let from = 0; from === 0 || from < data.byteLength; from += maxDataBytes) {
      const piece = data.byteLength > maxDataBytes ? data.subarray(from, from + maxDataBytes) : data;
      this.#put(output, Number(seconds), nanos, piece);
    }
  }

  /** The message with all of them and this place; there must be one. The next record begins another message. */
  finish(position: LogPosition | undefined): Uint8Array {
    const writer = this.#writer;
    if (position !== undefined) {
      const { seconds, nanos } = secondsFromNs(position.timeNs);
      const mark = writer.tag(positionField.number, WireType.LengthDelimited).fork();
      writeMoment(writer, positionFields.time.number, Number(seconds), nanos);
      writer.tag(positionFields.sequence.number, WireType.Varint).uint32(position.sequence).join(mark);
    }
    this.#records = 0;
    this.#bytes = 0;
    return writer.join(this.#logs).finish();
  }

  #put(output: OutputStream, seconds: number, nanos: number, data: Uint8Array): void {
    const writer = this.#writer;
    const mark = writer.tag(recordsField.number, WireType.LengthDelimited).fork();
    writer.tag(recordFields.stream.number, WireType.Varint).uint32(output);
    writeMoment(writer, recordFields.time.number, seconds, nanos);
    writer.tag(recordFields.data.number, WireType.LengthDelimited).bytes(data).join(mark);
    this.#records += 1;
    this.#bytes += data.byteLength + recordBytes;
  }
}
