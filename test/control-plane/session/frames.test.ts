import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import assert from "node:assert/strict";
import { AgentStreamRequestSchema } from "../../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import { AgentFrameSchema } from "../../../src/gen/fairlead/agent/v1/frame_pb.js";
import { ContainerAction } from "../../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { ContainerService } from "../../../src/gen/fairlead/container/v1/container_service_pb.js";
import { EventService } from "../../../src/gen/fairlead/event/v1/event_service_pb.js";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { eventually, testControlPlane, type TestControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb, rejection, stopWeb } from "../../support/dispatching.ts";
import type { RawAgent } from "../../support/raw-agent.ts";
import { recordedEvent, recordedEvents } from "../../support/recorded-events.ts";
import { begin, end, gone, idOf, seen } from "../inventory/inventory-steps.ts";

const maxFrameBytes = 64 * 1024;
const unknownField = new BinaryWriter()
  .tag(1_000, WireType.LengthDelimited)
  .string("from the future")
  .finish();

async function namesInApi(plane: TestControlPlane): Promise<string[]> {
  const { containers } = await plane.client(ContainerService).listContainers({ pageSize: 1_000 });
  return containers.map(({ name }) => name);
}

/** Waits until all that the agent has sent so far was taken in. */
async function takenIn(plane: TestControlPlane, agent: RawAgent): Promise<void> {
  const marker = idOf("fffe");
  const { hostId = "" } = agent.welcome ?? {};
  agent.send({ inventory: [seen({ id: marker, name: "marker" })] });
  await eventually(() => plane.controlPlane.inventory.container(hostId, marker), "the marker");
  agent.send({ inventory: [gone(marker)] });
  await eventually(() => plane.controlPlane.inventory.container(hostId, marker) === undefined, "no marker");
}

/** A frame of exactly so many bytes, of heartbeats that a newer agent would understand. */
function frameOf(bytes: number): Uint8Array {
  const head = new BinaryWriter().tag(1_000, WireType.LengthDelimited).uint32(bytes).finish().byteLength;
  const padding = new BinaryWriter()
    .tag(1_000, WireType.LengthDelimited)
    .bytes(new Uint8Array(bytes - head))
    .finish();
  assert.equal(padding.byteLength, bytes);
  const { number } = AgentStreamRequestSchema.field.frame;
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(padding).finish();
}

function time(seconds: bigint, nanos = 0): Timestamp {
  return create(TimestampSchema, { seconds, nanos });
}

const never = time(2n ** 60n);

describe("frames", () => {
  it("S03 a second Hello ends the session with INVALID_ARGUMENT", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    agent.sendHello(
      agent.hello({ case: "reconnection", value: { agentId: agent.identity.agentId } as never }),
      new Uint8Array(32),
    );
    const error = await agent.ended;
    assert.equal(error.reason, "PROTOCOL_VIOLATION");
    assert.match(error.message, /second Hello/);
    assert.equal((await agent.status).code, 3);
    await eventually(() => plane.controlPlane.sessions.size === 0, "no session");
  });

  it("S13 a frame of 64 KiB is taken, one byte more than its envelope allows ends that session and no other", async () => {
    await using plane = await testControlPlane();
    const [agent, other] = [await plane.enrolled(), await plane.enrolled()];
    agent.sendBytes(frameOf(maxFrameBytes));
    await takenIn(plane, agent);
    agent.sendBytes(frameOf(maxFrameBytes + 100));
    const error = await agent.ended;
    assert.equal((await agent.status).code, 3);
    assert.match(error.message, /the limit is 65536/);
    const offline = await recordedEvent(plane, EventType.HOST_OFFLINE);
    assert.equal(offline.attributes["reason"], "PROTOCOL_VIOLATION");
    await takenIn(plane, other);
  });

  it("S13 a message of more than 1 MiB ends that session and no other", async () => {
    await using plane = await testControlPlane();
    const [agent, other] = [await plane.enrolled(), await plane.enrolled()];
    agent.sendBytes(frameOf(1024 * 1024 + 1));
    await agent.ended;
    await eventually(
      () => !plane.controlPlane.sessions.isOnline(agent.identity.agentId),
      "the end of the session",
    );
    await takenIn(plane, other);
    await plane.returned(agent);
  });

  it("S13 bytes that do not decode end that session with INVALID_ARGUMENT", async () => {
    await using plane = await testControlPlane();
    for (const bytes of [
      new Uint8Array([0xff]),
      new Uint8Array([18, 100, 1]),
      new Uint8Array([18, 2, 18, 100]),
    ]) {
      const agent = await plane.enrolled();
      agent.sendBytes(bytes);
      assert.equal((await agent.ended).reason, "PROTOCOL_VIOLATION");
      assert.equal((await agent.status).code, 3);
    }
  });

  it("S13 more items than a frame may have end that session with the field named", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    agent.send({ resultParts: Array.from({ length: 65 }, () => ({ commandId: "c" })) });
    const error = await agent.ended;
    assert.equal(error.reason, "INVALID_ARGUMENT");
    assert.deepEqual(
      error.violations.map(({ field }) => field),
      ["result_parts"],
    );
  });

  it("S13 an item out of bounds costs only itself, and the host stays online with all the rest", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    agent.send({
      inventory: [
        begin(),
        seen({ id: idOf("a"), name: "first" }),
        seen({ id: "", name: "without-id" }),
        seen({ id: idOf("b"), name: "n".repeat(300) }),
        gone(""),
        seen({ id: idOf("c"), name: "last" }),
        end(),
      ],
      hostEvents: [
        {
          eventTime: { seconds: 1_700_000_000n, nanos: 0 },
          event: { case: "container", value: { action: ContainerAction.DIED, containerId: "" } },
        },
        {
          event: { case: "container", value: { action: ContainerAction.DIED, containerId: "without-time" } },
        },
        {
          eventTime: { seconds: 1_700_000_000n, nanos: 0 },
          event: {
            case: "container",
            value: {
              action: ContainerAction.DIED,
              containerId: idOf("a"),
              containerName: "first",
              exitCode: 3,
            },
          },
        },
      ],
      acceptances: [{ commandId: "" }],
    });
    const died = await recordedEvent(plane, EventType.CONTAINER_DIED);
    assert.deepEqual({ ...died.attributes }, { image: "", exit_code: "3" });
    assert.equal(died.eventTime, 1_700_000_000_000);
    assert.deepEqual(await namesInApi(plane), ["first", "last"]);
    assert.ok(plane.controlPlane.sessions.isOnline(agent.identity.agentId));
    const refused = await eventually(async () => {
      const events = await recordedEvents(plane, EventType.ITEM_REFUSED);
      return events.length === 6 ? events : undefined;
    }, "six refused items");
    assert.deepEqual(
      new Set(refused.map(({ attributes }) => attributes["item"])),
      new Set(["Acceptance", "InventoryUpdate", "HostEvent"]),
    );
    assert.ok(refused.every(({ hostName }) => hostName === "raw-host"));
    assert.ok(refused.some(({ attributes }) => attributes["violation"]?.startsWith("container.id")));
  });

  it("S13 a time that no calendar has costs its item, and nobody who lists", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    agent.send({
      inventory: [
        seen({ id: idOf("a"), name: "timeless", createdTime: never }),
        seen({ id: idOf("b"), name: "early", startedTime: time(-(2n ** 60n)) }),
        seen({ id: idOf("c"), name: "split", finishedTime: time(1n, -5) }),
        { ...seen({ id: idOf("d"), name: "observed" }), observedTime: never },
        seen({ id: idOf("e"), name: "good" }),
      ],
      hostEvents: [
        {
          eventTime: never,
          event: { case: "container", value: { action: ContainerAction.STARTED, containerId: idOf("a") } },
        },
      ],
    });
    await takenIn(plane, agent);
    assert.deepEqual(await namesInApi(plane), ["good"]);
    await recordedEvent(
      plane,
      EventType.ITEM_REFUSED,
      ({ attributes }) => attributes["item"] === "HostEvent",
    );
    const { events } = await plane.client(EventService).listEvents({});
    assert.ok(events.length > 0);
    assert.deepEqual(await recordedEvents(plane, EventType.CONTAINER_STARTED), []);
  });

  it("S13 thousands of odd items are counted, and do not fill the event log", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    agent.send({ inventory: Array.from({ length: 3_000 }, () => gone("")) });
    await takenIn(plane, agent);
    await eventually(
      async () => (await recordedEvents(plane, EventType.ITEM_REFUSED)).length >= 100,
      "the first hundred",
    );
    assert.equal((await recordedEvents(plane, EventType.ITEM_REFUSED)).length, 100);
  });

  it("S13 a result out of bounds fails its command with INVALID_RESULT, and the session goes on", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    for (const operation of [inspectWeb, stopWeb]) {
      const call = dispatchTo(plane, agent, operation);
      const command = await agent.command();
      agent.fail(command, "not a reason");
      const error = await rejection(call, "INVALID_RESULT");
      assert.match(error.message, /failure\.reason/);
      assert.equal(error.metadata["command_id"], command.commandId);
    }
    await takenIn(plane, agent);
  });

  it("S14 unknown fields, unknown messages and unknown kinds of item do not end the session", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    agent.sendBytes(unknownField);
    agent.sendBytes(new Uint8Array(0));
    const frame = toBinary(
      AgentFrameSchema,
      create(AgentFrameSchema, { inventory: [seen({ id: idOf("a"), name: "web" })] }),
    );
    const { number } = AgentStreamRequestSchema.field.frame;
    const content = Buffer.concat([frame, unknownField]);
    agent.sendBytes(new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(content).finish());
    agent.send({
      inventory: [{ update: { case: undefined } }],
      hostEvents: [
        { eventTime: { seconds: 1n, nanos: 0 }, event: { case: undefined } },
        {
          eventTime: { seconds: 1n, nanos: 0 },
          event: { case: "container", value: { action: 99 as ContainerAction, containerId: "c" } },
        },
      ],
      engineState: 77 as never,
    });
    await takenIn(plane, agent);
    assert.deepEqual(await namesInApi(plane), ["web"]);
    assert.deepEqual(await recordedEvents(plane, EventType.ITEM_REFUSED), []);
  });

  it("S14 an operation that the agent does not know fails its command, and the session goes on", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const call = dispatchTo(plane, agent, stopWeb);
    agent.fail(await agent.command(), "OPERATION_UNSUPPORTED");
    await rejection(call, "OPERATION_UNSUPPORTED");
    await takenIn(plane, agent);
  });

  it("S15 a result for another agent's command is ignored, counted and logged", async () => {
    await using plane = await testControlPlane();
    const [agent, other] = [await plane.enrolled(), await plane.enrolled()];
    for (const operation of [inspectWeb, stopWeb]) {
      const call = dispatchTo(plane, agent, operation);
      const command = await agent.command();
      const stray = plane.controlPlane.dispatcher.strayResults;
      other.accept(command);
      other.fail(command, "CONFLICT");
      other.fail(command, "not a reason");
      await takenIn(plane, other);
      assert.equal(plane.controlPlane.dispatcher.strayResults, stray + 2);
      agent.succeed(command, true);
      assert.equal((await call).outcome?.changed, true);
    }
    await eventually(
      () =>
        plane.logLines.some(
          (line) => line.includes('"foreign":true') && line.includes(other.identity.agentId),
        ),
      "a line about the foreign result",
    );
  });

  it("S15 what an agent says of its containers changes no other host", async () => {
    await using plane = await testControlPlane();
    const [agent, other] = [await plane.enrolled(), await plane.enrolled()];
    agent.send({ inventory: [seen({ id: idOf("a"), name: "web" })] });
    await takenIn(plane, agent);
    other.send({ inventory: [gone(idOf("a")), begin(), end()] });
    await takenIn(plane, other);
    assert.deepEqual(await namesInApi(plane), ["web"]);
  });
});
