import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { AgentStreamResponseSchema } from "../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import { ControlFrameSchema } from "../../src/gen/fairlead/agent/v1/frame_pb.js";
import { FrameWriter } from "../../src/rpc/frame-writer.ts";
import type { WireMessage } from "../../src/rpc/grpc-service.ts";

/** A stream that takes as many messages as it is told to before it says "no more". */
class Sink extends EventEmitter {
  readonly messages: WireMessage[] = [];
  room = Number.POSITIVE_INFINITY;

  write(message: WireMessage): boolean {
    this.messages.push(message);
    this.room -= 1;
    return this.room > 0;
  }

  /** Has read what was there. */
  drain(room = Number.POSITIVE_INFINITY): void {
    this.room = room;
    this.emit("drain");
  }

  /** The ids of each frame, in order. */
  frames(): string[][] {
    return this.messages.map((bytes) => {
      const { message } = fromBinary(AgentStreamResponseSchema, bytes);
      assert.equal(message.case, "frame");
      return message.case === "frame" ? message.value.acknowledgedCommandIds : [];
    });
  }
}

function item(id: string): Uint8Array {
  return toBinary(ControlFrameSchema, create(ControlFrameSchema, { acknowledgedCommandIds: [id] }));
}

function writerTo(sink: Sink, limits: { maxFrameBytes?: number; maxQueuedBytes?: number } = {}) {
  return new FrameWriter({
    sink,
    frameFieldNumber: AgentStreamResponseSchema.field.frame.number,
    maxFrameBytes: 1_000,
    maxQueuedBytes: 100_000,
    ...limits,
  });
}

describe("FrameWriter", () => {
  it("sends what is pushed in one callback of the event loop in one frame, and nothing before it ends", async () => {
    const sink = new Sink();
    const writer = writerTo(sink);
    for (const id of ["a", "b", "c"]) assert.ok(writer.push(item(id)));
    assert.equal(sink.messages.length, 0);
    await nextTurn();
    assert.ok(writer.push(item("d")));
    await nextTurn();
    assert.deepEqual(sink.frames(), [["a", "b", "c"], ["d"]]);
    assert.equal(writer.queuedBytes, 0);
  });

  it("decodes to the same items in the same order, in frames never above the limit, however the peer reads", async () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 290 }), { minLength: 1, maxLength: 40 });
    const rooms = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        lengths,
        rooms,
        fc.integer({ min: 300, max: 700 }),
        async (sizes, room, maxFrameBytes) => {
          const sink = new Sink();
          const writer = writerTo(sink, { maxFrameBytes });
          const ids = sizes.map((size, index) => `${index}-${"x".repeat(size)}`);
          sink.room = room[0] ?? 1;
          for (const [index, id] of ids.entries()) {
            assert.ok(writer.push(item(id)));
            if (index % 7 === 6) await nextTurn();
          }
          await nextTurn();
          for (let turn = 1; writer.queuedBytes > 0; turn += 1) sink.drain(room[turn % room.length]);
          assert.deepEqual(sink.frames().flat(), ids);
          for (const message of sink.messages) {
            const { message: content } = fromBinary(AgentStreamResponseSchema, message);
            assert.ok(content.case === "frame");
            const { byteLength } = toBinary(ControlFrameSchema, content.value);
            assert.ok(byteLength <= maxFrameBytes, `a frame of ${byteLength} bytes`);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("writes nothing while the peer does not read, and goes on where it was", async () => {
    const sink = new Sink();
    const writer = writerTo(sink);
    sink.room = 1;
    writer.push(item("a"));
    await nextTurn();
    writer.push(item("b"));
    writer.push(item("c"));
    await nextTurn();
    assert.deepEqual(sink.frames(), [["a"]]);
    assert.equal(writer.queuedBytes, item("b").byteLength + item("c").byteLength);
    sink.drain();
    assert.deepEqual(sink.frames(), [["a"], ["b", "c"]]);
    assert.equal(sink.listenerCount("drain"), 0);
  });

  it("refuses what does not fit into the queue, drops none that it took, and takes more when there is room", async () => {
    const sink = new Sink();
    const one = item("x".repeat(100));
    const writer = writerTo(sink, { maxQueuedBytes: one.byteLength * 3 });
    sink.room = 1;
    assert.ok(writer.push(item("first")));
    await nextTurn();
    const taken = [1, 2, 3, 4, 5].map(() => writer.push(one));
    assert.deepEqual(taken, [true, true, true, false, false]);
    sink.drain();
    assert.ok(writer.push(one));
    await nextTurn();
    assert.equal(sink.frames().flat().length, 1 + 3 + 1);
  });

  it("refuses an item that is larger than a frame, and takes one that fills it", async () => {
    const sink = new Sink();
    const full = item("x".repeat(200));
    const writer = writerTo(sink, { maxFrameBytes: full.byteLength });
    assert.ok(!writer.push(item("x".repeat(201))));
    assert.ok(writer.push(full));
    await nextTurn();
    assert.equal(sink.messages.length, 1);
  });

  it("sends nothing after close, lets go of the stream, and wakes whoever waits", async () => {
    const sink = new Sink();
    const writer = writerTo(sink);
    sink.room = 1;
    writer.push(item("a"));
    await nextTurn();
    writer.push(item("b"));
    const drained = writer.drained();
    writer.close();
    await drained;
    assert.equal(sink.listenerCount("drain"), 0);
    assert.equal(writer.queuedBytes, 0);
    assert.ok(!writer.push(item("c")));
    sink.drain();
    await nextTurn();
    assert.deepEqual(sink.frames(), [["a"]]);
  });

  it("tells when enough was sent", async () => {
    const sink = new Sink();
    const writer = writerTo(sink);
    await writer.drained();
    writer.push(item("a"));
    await writer.drained();
    assert.deepEqual(sink.frames(), [["a"]]);
  });

  it("keeps what waits for a slow peer in memory of its own", async () => {
    const sink = new Sink();
    const writer = writerTo(sink, { maxFrameBytes: 9 });
    sink.room = 1;
    const shared = Uint8Array.from(Buffer.concat([item("a"), item("b"), item("c")]));
    const [first, second, third] = [0, 1, 2].map((index) => shared.subarray(index * 3, index * 3 + 3));
    assert.ok(writer.push(item("x".repeat(5))) && writer.push(first as Uint8Array));
    await nextTurn();
    assert.ok(writer.push(second as Uint8Array) && writer.push(third as Uint8Array));
    shared.fill(0);
    sink.drain();
    await nextTurn();
    assert.deepEqual(sink.frames().flat(), ["xxxxx", "a", "b", "c"]);
  });
});
