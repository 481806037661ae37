import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import assert from "node:assert/strict";
import { CommandResultSchema } from "../../src/gen/fairlead/agent/v1/command_pb.js";
import { AgentFrameSchema } from "../../src/gen/fairlead/agent/v1/frame_pb.js";
import { timestampViolations } from "../../src/rpc/timestamp-violations.ts";

function fieldsOf(frame: MessageInitShape<typeof AgentFrameSchema>): string[] {
  return timestampViolations(AgentFrameSchema, create(AgentFrameSchema, frame)).map(({ field }) => field);
}

const never = { seconds: 2n ** 60n, nanos: 0 };

describe("timestampViolations", () => {
  it("S13 takes every time of the calendar, its first and last moment included", () => {
    const times = [
      { seconds: -62_135_596_800n, nanos: 0 },
      { seconds: 253_402_300_799n, nanos: 999_999_999 },
      { seconds: 0n, nanos: 0 },
      timestampFromMs(1_700_000_000_000),
    ];
    for (const sentTime of times) assert.deepEqual(fieldsOf({ sentTime }), []);
    assert.deepEqual(fieldsOf({}), []);
  });

  it("S13 names what is beyond it, or has a fraction that is none", () => {
    const times = [
      { seconds: -62_135_596_801n, nanos: 0 },
      { seconds: 253_402_300_800n, nanos: 0 },
      { seconds: 0n, nanos: -1 },
      { seconds: 0n, nanos: 1_000_000_000 },
    ];
    for (const sentTime of times) assert.deepEqual(fieldsOf({ sentTime }), ["sent_time"]);
  });

  it("S13 finds them however deep they are, in lists and in oneofs", () => {
    const container = { id: "a", createdTime: never };
    assert.deepEqual(
      fieldsOf({
        inventory: [
          { update: { case: "removedContainerId", value: "a" } },
          { update: { case: "container", value: container }, observedTime: never },
        ],
        hostEvents: [{ eventTime: never }],
      }),
      ["inventory[1].container.created_time", "inventory[1].observed_time", "host_events[0].event_time"],
    );
    const result = create(CommandResultSchema, {
      end: {
        case: "outcome",
        value: { detail: { case: "inspection", value: { container } } },
      },
    });
    assert.deepEqual(
      timestampViolations(CommandResultSchema, result).map(({ field }) => field),
      ["outcome.inspection.container.created_time"],
    );
  });
});
