import { fromBinary, type UnknownField } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { DataStreamRequestSchema, LogRecordsSchema } from "../../gen/fairlead/agent/v1/data_stream_pb.js";
import { type LogPosition, LogPositionSchema } from "../../gen/fairlead/agent/v1/stream_operations_pb.js";
import { LogRecordSchema } from "../../gen/fairlead/container/v1/log_pb.js";
import { LogBatchSchema } from "../../gen/fairlead/container/v1/log_service_pb.js";
import { violationsOf } from "../../rpc/message-validator.ts";

/** Records of a log on their way from an agent to a caller: looked through, and left as they came. */
export interface RelayedLogs {
  /** For a `LogBatch` that is written in protobuf's binary format: what it has as unknown fields is written as it is. */
  readonly records: UnknownField[];
  readonly position: LogPosition | undefined;
}

// The bounds of the schema.
const maxRecords = 4096;
const maxDataBytes = 65_536;
// Seconds of five bytes are of this millennium or the next.
const maxSecondsBytes = 5;
const nanosPerSecond = 1_000_000_000;

const logsTag = tagOf(DataStreamRequestSchema.field.logs.number, WireType.LengthDelimited);
const recordTag = tagOf(LogRecordsSchema.field.records.number, WireType.LengthDelimited);
const positionTag = tagOf(LogRecordsSchema.field.position.number, WireType.LengthDelimited);
const streamTag = tagOf(LogRecordSchema.field.stream.number, WireType.Varint);
const timeTag = tagOf(LogRecordSchema.field.time.number, WireType.LengthDelimited);
const dataTag = tagOf(LogRecordSchema.field.data.number, WireType.LengthDelimited);
const secondsTag = tagOf(TimestampSchema.field.seconds.number, WireType.Varint);
const nanosTag = tagOf(TimestampSchema.field.nanos.number, WireType.Varint);
const batchRecords = LogBatchSchema.field.records.number;

/**
 * The records of a message of an agent, when they keep all rules of the schema for certain. Taking records apart only to put them together
 * again was more than half of what a log cost the control plane. Undefined says nothing: then the message is to be decoded and judged as any
 * other.
 */
export function relayedLogs(message: Uint8Array): RelayedLogs | undefined {
  try {
    return read(new BinaryReader(message), message);
  } catch {
    return undefined;
  }
}

function read(reader: BinaryReader, message: Uint8Array): RelayedLogs | undefined {
  if (reader.uint32() !== logsTag || reader.uint32() !== message.byteLength - reader.pos) return undefined;
  const records: UnknownField[] = [];
  let position: LogPosition | undefined;
  while (reader.pos < message.byteLength) {
    const tag = reader.uint32();
    const start = reader.pos;
    if (tag === recordTag && records.length < maxRecords) {
      if (!isPlainRecord(reader, endOf(reader))) return undefined;
      const data = message.subarray(start, reader.pos);
      records.push({ no: batchRecords, wireType: WireType.LengthDelimited, data });
    } else if (tag === positionTag && position === undefined) {
      position = fromBinary(LogPositionSchema, reader.bytes());
      if (violationsOf(LogPositionSchema, position).length > 0) return undefined;
    } else {
      return undefined;
    }
  }
  return reader.pos === message.byteLength ? { records, position } : undefined;
}

function isPlainRecord(reader: BinaryReader, end: number): boolean {
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === streamTag) reader.uint32();
    else if (tag === timeTag) {
      if (!isPlainTime(reader, endOf(reader))) return false;
    } else if (tag === dataTag) {
      const length = reader.uint32();
      if (length > maxDataBytes) return false;
      reader.pos += length;
    } else return false;
  }
  return reader.pos === end;
}

function isPlainTime(reader: BinaryReader, end: number): boolean {
  while (reader.pos < end) {
    const tag = reader.uint32();
    const start = reader.pos;
    const value = reader.uint32();
    const isPlain =
      tag === secondsTag
        ? reader.pos - start <= maxSecondsBytes
        : tag === nanosTag && reader.pos - start <= maxSecondsBytes && value < nanosPerSecond;
    if (!isPlain) return false;
  }
  return reader.pos === end;
}

/** Where what has its length here ends. */
function endOf(reader: BinaryReader): number {
  const length = reader.uint32();
  return reader.pos + length;
}

function tagOf(fieldNumber: number, type: WireType): number {
  return (fieldNumber << 3) | type;
}
