import { WireType } from "@bufbuild/protobuf/wire";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { WireWriter } from "./wire-writer.ts";

const secondsField = TimestampSchema.field.seconds.number;
const nanosField = TimestampSchema.field.nanos.number;
if (
  DurationSchema.field.seconds.number !== secondsField ||
  DurationSchema.field.nanos.number !== nanosField
) {
  throw new TypeError("a Duration and a Timestamp are written alike");
}

/**
 * Writes a field that holds a time (milliseconds since the epoch) or a duration (milliseconds). In place of a message of
 * two numbers, one of them a bigint, that would be made only to be written: two to three of them travel with each command.
 */
export function writeTime(writer: WireWriter, fieldNumber: number, ms: number): void {
  const seconds = Math.floor(ms / 1_000);
  const nanos = Math.round((ms - seconds * 1_000) * 1_000_000);
  writeMoment(writer, fieldNumber, seconds, nanos);
}

/** The same for a time or a duration that is there in its two numbers. */
export function writeMoment(writer: WireWriter, fieldNumber: number, seconds: number, nanos: number): void {
  const mark = writer.tag(fieldNumber, WireType.LengthDelimited).fork();
  if (seconds !== 0) {
    writer.tag(secondsField, WireType.Varint);
    // The same bytes, without a bigint in between, from 1970 to 2106.
    if (seconds > 0 && seconds < 2 ** 32) writer.uint32(seconds);
    else writer.int64(BigInt(seconds));
  }
  if (nanos !== 0) writer.tag(nanosField, WireType.Varint).uint32(nanos);
  writer.join(mark);
}
