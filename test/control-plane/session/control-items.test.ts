import { create, fromBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import assert from "node:assert/strict";
import { commandItem, contentBytes } from "../../../src/control-plane/session/control-items.ts";
import { CommandSchema } from "../../../src/gen/fairlead/agent/v1/command_pb.js";
import { ControlFrameSchema } from "../../../src/gen/fairlead/agent/v1/frame_pb.js";
import { OperationSchema } from "../../../src/gen/fairlead/agent/v1/operation_pb.js";
import { PreconditionsSchema } from "../../../src/gen/fairlead/container/v1/preconditions_pb.js";

const sending = { commandId: "0190", attempt: 2, sessionEpoch: 4_294_967_295, timeoutMs: 1_500 };
const content = {
  operation: create(OperationSchema, {
    operation: { case: "stopContainer", value: { container: "web", gracePeriod: durationFromMs(5_000) } },
  }),
  preconditions: create(PreconditionsSchema, { expectedStartedTime: timestampFromMs(1) }),
};

describe("commandItem", () => {
  it("is a frame that holds the command and nothing else", () => {
    const { timeoutMs, ...rest } = sending;
    const command = create(CommandSchema, { ...rest, timeout: durationFromMs(timeoutMs), ...content });
    const expected = create(ControlFrameSchema, { commands: [command] });
    assert.deepEqual(fromBinary(ControlFrameSchema, commandItem(contentBytes(content), sending)), expected);
  });

  it("leaves out what is not there, and asks for at least a millisecond", () => {
    const item = commandItem(contentBytes({}), { ...sending, timeoutMs: 0.2 });
    const [command] = fromBinary(ControlFrameSchema, item).commands;
    assert.equal(command?.operation, undefined);
    assert.equal(command?.preconditions, undefined);
    assert.deepEqual(command?.timeout, durationFromMs(1));
  });
});
