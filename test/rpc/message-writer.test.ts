import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import assert from "node:assert/strict";
import { CommandResultSchema, CommandSchema } from "../../src/gen/fairlead/agent/v1/command_pb.js";
import { StatsSamplesSchema } from "../../src/gen/fairlead/agent/v1/data_stream_pb.js";
import { AgentFrameSchema, ControlFrameSchema } from "../../src/gen/fairlead/agent/v1/frame_pb.js";
import { HelloSchema } from "../../src/gen/fairlead/agent/v1/handshake_pb.js";
import { OperationOutcomeSchema, OperationSchema } from "../../src/gen/fairlead/agent/v1/operation_pb.js";
import { writeMessage } from "../../src/rpc/message-writer.ts";
import { WireWriter } from "../../src/rpc/wire-writer.ts";
import { messages } from "../support/messages.ts";

const schemas: readonly DescMessage[] = [
  OperationSchema,
  OperationOutcomeSchema,
  CommandSchema,
  CommandResultSchema,
  AgentFrameSchema,
  ControlFrameSchema,
  HelloSchema,
  StatsSamplesSchema,
];

const writer = new WireWriter();

describe("writeMessage", () => {
  for (const schema of schemas) {
    it(`writes what the generated code reads as the same ${schema.typeName}`, () => {
      fc.assert(
        fc.property(messages(schema, 5), (init) => {
          const message = create(schema, init);
          for (const given of [init, message]) {
            assert.deepEqual(fromBinary(schema, written(schema, given)), again(schema, message));
          }
        }),
        { numRuns: 150 },
      );
    });
  }

  it("keeps what a newer peer said beyond the schema", () => {
    const newer = new BinaryWriter().tag(1_000, WireType.LengthDelimited).string("news").finish();
    const message = fromBinary(OperationSchema, newer);
    assert.deepEqual(written(OperationSchema, message), newer);
  });

  it("writes the next message although one before could not be", () => {
    const bad = {
      commandId: "a",
      attempt: 1,
      operation: { operation: { case: "stopContainer", value: { container: 7 } } },
    };
    assert.throws(() => written(CommandSchema, bad as never), TypeError);
    const good = create(CommandSchema, { commandId: "b" });
    assert.deepEqual(fromBinary(CommandSchema, written(CommandSchema, good)), good);
  });
});

function written<Desc extends DescMessage>(schema: Desc, message: object): Uint8Array {
  writeMessage(writer.begin(), schema, message as never);
  return Uint8Array.from(writer.finish());
}

/** With what cannot be told on the wire, such as an empty message in place of none, as the generated code tells it. */
function again<Desc extends DescMessage>(schema: Desc, message: object): unknown {
  return fromBinary(schema, toBinary(schema, message as never));
}
