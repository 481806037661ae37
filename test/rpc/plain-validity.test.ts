import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createValidator } from "@bufbuild/protovalidate";
import fc from "fast-check";
import assert from "node:assert/strict";
import {
  AcceptanceSchema,
  CommandResultSchema,
  CommandSchema,
  ResultPartSchema,
} from "../../src/gen/fairlead/agent/v1/command_pb.js";
import {
  DataStreamRequestSchema,
  DataStreamResponseSchema,
} from "../../src/gen/fairlead/agent/v1/data_stream_pb.js";
import { AgentFrameSchema, ControlFrameSchema } from "../../src/gen/fairlead/agent/v1/frame_pb.js";
import { HelloSchema } from "../../src/gen/fairlead/agent/v1/handshake_pb.js";
import { HostEventSchema, InventoryUpdateSchema } from "../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { CommandService } from "../../src/gen/fairlead/command/v1/command_service_pb.js";
import { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { isPlainlyValid } from "../../src/rpc/plain-validity.ts";
import { timestampViolations } from "../../src/rpc/timestamp-violations.ts";
import { messages } from "../support/messages.ts";

const frames: readonly DescMessage[] = [AgentFrameSchema, ControlFrameSchema];

const schemas: readonly DescMessage[] = [
  ...frames,
  CommandSchema,
  AcceptanceSchema,
  CommandResultSchema,
  ResultPartSchema,
  HelloSchema,
  HostEventSchema,
  InventoryUpdateSchema,
  DataStreamRequestSchema,
  DataStreamResponseSchema,
  ...[ContainerService, CommandService, EventService].flatMap(({ methods }) =>
    methods.map(({ input }) => input),
  ),
];

const validator = createValidator();
const container = {
  id: "0".repeat(64),
  name: "web",
  labels: { role: "web" },
  createdTime: timestampFromMs(1),
};

describe("isPlainlyValid", () => {
  // Lists of times and depths are kept small, so that good messages are as frequent as bad ones.
  for (const schema of schemas) {
    it(`V02 never calls a ${schema.typeName} good that the whole validator refuses`, () => {
      fc.assert(
        fc.property(messages(schema, 4), (init) => {
          const message = create(schema, init);
          if (!isPlainlyValid(schema, message)) return;
          assert.equal(validator.validate(schema, message).kind, "valid");
          // A frame's rules leave its items out: each is looked at by itself.
          if (!frames.includes(schema)) assert.deepEqual(timestampViolations(schema, message), []);
        }),
        { numRuns: 150 },
      );
    });
  }

  it("knows what streams mostly carry without the whole validator", () => {
    const usual: [DescMessage, object][] = [
      [CommandSchema, { commandId: "a", attempt: 1, timeout: { seconds: 30n, nanos: 0 } }],
      [CommandSchema, { commandId: "a", operation: { operation: inspection } }],
      [AcceptanceSchema, { commandId: "a", attempt: 1 }],
      [CommandResultSchema, { commandId: "a", end: { case: "outcome", value: { detail: shown } } }],
      [CommandResultSchema, { commandId: "a", end: { case: "failure", value: { reason: "CONFLICT" } } }],
      [InventoryUpdateSchema, { update: { case: "container", value: container } }],
      [AgentFrameSchema, { acceptances: [{ commandId: "" }], sentTime: timestampFromMs(1) }],
      [DataStreamRequestSchema, { message: { case: "logs", value: { records: [record], position } } }],
      [DataStreamRequestSchema, { message: { case: "output", value: record } }],
      [DataStreamRequestSchema, { message: { case: "stats", value: { containers: { web: usage } } } }],
      [DataStreamRequestSchema, { message: { case: "archive", value: new Uint8Array(65_536) } }],
      [DataStreamResponseSchema, { message: { case: "archive", value: new Uint8Array(65_536) } }],
    ];
    for (const [schema, init] of usual) {
      assert.ok(isPlainlyValid(schema, create(schema, init as MessageInitShape<typeof schema>)), schema.name);
    }
  });

  it("leaves every broken bound to the whole validator", () => {
    const broken: [DescMessage, object][] = [
      [CommandSchema, { commandId: "" }],
      [CommandSchema, { commandId: "x".repeat(65) }],
      [CommandSchema, { commandId: "a", timeout: {} }],
      [CommandSchema, { commandId: "a", timeout: { seconds: 86_401n, nanos: 0 } }],
      [ResultPartSchema, { commandId: "a", index: 4_096 }],
      [ResultPartSchema, { commandId: "a", data: new Uint8Array(49_153) }],
      [CommandResultSchema, { commandId: "a", end: { case: "failure", value: { reason: "no" } } }],
      [CommandResultSchema, { commandId: "a", endedTime: { seconds: 2n ** 60n, nanos: 0 } }],
      [DataStreamRequestSchema, { message: { case: "logs", value: { position: { time, sequence: 0 } } } }],
      [DataStreamRequestSchema, { message: { case: "logs", value: { position: { sequence: 1 } } } }],
      [AgentFrameSchema, { acceptances: Array.from({ length: 4_097 }, () => ({ commandId: "a" })) }],
    ];
    for (const [schema, init] of broken) {
      assert.ok(
        !isPlainlyValid(schema, create(schema, init as MessageInitShape<typeof schema>)),
        schema.name,
      );
    }
  });
});

const time = timestampFromMs(1);
const record = { stream: 1, time, data: new Uint8Array(64) };
const position = { time, sequence: 1 };
const usage = { time, cpuPercent: 0.5 };
const inspection = { case: "inspectContainer", value: { container: "web" } };
const shown = { case: "inspection", value: { container, engineJson: "{}" } };
