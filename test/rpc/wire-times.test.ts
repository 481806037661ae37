import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import assert from "node:assert/strict";
import { CommandResultSchema, CommandSchema } from "../../src/gen/fairlead/agent/v1/command_pb.js";
import { writeTime } from "../../src/rpc/wire-times.ts";
import { WireWriter } from "../../src/rpc/wire-writer.ts";

const endedTime = CommandResultSchema.field.endedTime.number;
const timeout = CommandSchema.field.timeout.number;

describe("writeTime", () => {
  it("writes the same bytes as the generated code, for any time of the calendar", () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }), (ms) => {
        const written = writeTo(endedTime, ms);
        const message = create(CommandResultSchema, { endedTime: timestampFromMs(ms) });
        assert.deepEqual(written, toBinary(CommandResultSchema, message));
      }),
    );
  });

  it("writes the same bytes as the generated code, for any duration and for none", () => {
    fc.assert(
      fc.property(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 86_400_000 })), (ms) => {
        const message = create(CommandSchema, { timeout: durationFromMs(ms) });
        assert.deepEqual(writeTo(timeout, ms), toBinary(CommandSchema, message));
      }),
    );
  });

  it("writes fractions of a millisecond to the nanosecond", () => {
    const { endedTime: read } = fromBinary(CommandResultSchema, writeTo(endedTime, 1_700_000_000_000.25));
    assert.equal(read?.nanos, 250_000);
  });
});

function writeTo(fieldNumber: number, ms: number): Uint8Array {
  const writer = new WireWriter().begin();
  writeTime(writer, fieldNumber, ms);
  return Uint8Array.from(writer.finish());
}
