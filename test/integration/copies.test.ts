import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { EngineArchive } from "../../src/agent/engine/engine-files.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { FleetError } from "../../src/domain/errors.ts";
import type { CopyFromResponse } from "../../src/gen/fairlead/container/v1/file_service_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { eventually } from "../support/control-plane-harness.ts";
import { Fleet, patienceMs } from "../support/fleet.ts";

const megabyte = 1024 * 1024;
const piece = Buffer.alloc(64 * 1024, 1);
// All windows between the two ends together are far below; without backpressure it would be thousands within a second.
const mostUnderWayBytes = 48 * megabyte;

/** Archives without end, and a disk that takes as little as the test wants. */
class EndlessEngine extends SimulatedEngine {
  sentBytes = 0;
  takenBytes = 0;
  /** How many are under way. */
  copies = 0;
  /** Why what was being unpacked broke off. */
  broken: unknown;
  /** How long it takes for each piece. */
  pieceMs = 0;

  override async getArchive(): Promise<EngineArchive> {
    return { facts: { name: "endless", mode: 0o100_644 }, chunks: this.#endless() };
  }

  override async putArchive(_: string, __: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.copies += 1;
    try {
      for await (const chunk of chunks) {
        this.takenBytes += chunk.byteLength;
        await delay(this.pieceMs);
      }
    } catch (error) {
      this.broken = error;
      throw error;
    } finally {
      this.copies -= 1;
    }
  }

  async *#endless(): AsyncGenerator<Uint8Array> {
    this.copies += 1;
    try {
      for (;;) {
        this.sentBytes += piece.length;
        yield piece;
      }
    } finally {
      this.copies -= 1;
    }
  }
}

describe("copies", function () {
  this.timeout(60_000);
  this.slow(10_000);
  let fleet: Fleet;
  let engine: EndlessEngine;
  let offeredBytes: number;

  beforeEach(async () => {
    offeredBytes = 0;
    engine = new EndlessEngine({ clock: systemClock });
    fleet = await Fleet.start();
    await fleet.enrol("one", engine);
    await fleet.make("one", "box", {}, { start: false });
  });
  afterEach(async () => {
    await fleet[Symbol.asyncDispose]();
    await engine.close();
  });

  const begunOut = async (signal: AbortSignal) => {
    const request = { container: "box", path: "/etc/endless" };
    const iterator = fleet.api.files.copyFrom(request, { signal })[Symbol.asyncIterator]();
    assert.equal(((await iterator.next()).value as CopyFromResponse).message.case, "facts");
    return iterator;
  };

  async function* endless() {
    yield { message: { case: "start", value: { container: "box", path: "/etc" } } } as const;
    for (;;) {
      offeredBytes += piece.length;
      yield { message: { case: "archive", value: piece } } as const;
      // A side that is always ready would leave nobody else a turn.
      await delay(0);
    }
  }

  const noneLeft = () =>
    eventually(
      () => fleet.plane.controlPlane.dataStreams.size === 0 && engine.copies === 0,
      "nothing is left, neither a stream nor an archive at the engine",
      patienceMs,
    );

  it("D02 a slow reader slows the engine down", async () => {
    const reading = new AbortController();
    const iterator = await begunOut(reading.signal);
    let readBytes = 0;
    for (let second = 0; second < 2; second += 1) {
      for (const until = readBytes + megabyte; readBytes < until; ) {
        const { message } = (await iterator.next()).value as CopyFromResponse;
        if (message.case === "archive") readBytes += message.value.byteLength;
      }
      await delay(1_000);
    }
    const underWay = engine.sentBytes - readBytes;
    assert.ok(underWay < mostUnderWayBytes, `${underWay} bytes are under way`);
    reading.abort();
    await noneLeft();
  });

  it("D02 a slow engine slows the caller down", async () => {
    engine.pieceMs = 20;
    const sending = new AbortController();
    const copying = fleet.api.files.copyTo(endless(), { signal: sending.signal }).catch(() => "ended");
    await eventually(() => engine.takenBytes > megabyte, "the engine takes something", patienceMs);
    await delay(1_500);
    const underWay = offeredBytes - engine.takenBytes;
    assert.ok(underWay < mostUnderWayBytes, `${underWay} bytes are under way`);
    sending.abort();
    assert.equal(await copying, "ended");
    await noneLeft();
    assert.ok(engine.broken instanceof FleetError, "the engine was not told that it is no whole archive");
  });

  it("D03 the agent's end reaches the caller and the engine, in both directions", async () => {
    const iterator = await begunOut(new AbortController().signal);
    const reading = (async () => {
      while ((await iterator.next()).done !== true);
    })();
    const copying = fleet.api.files.copyTo(endless());
    const ends = Promise.allSettled([reading, copying]);
    await eventually(() => engine.takenBytes > 0, "both are under way", patienceMs);
    await fleet.stopAgent("one");
    const reasons = (await ends).map((end) => end.status === "rejected" && (end.reason as FleetError).reason);
    assert.deepEqual(reasons, ["AGENT_DISCONNECTED", "AGENT_DISCONNECTED"]);
    await noneLeft();
  });
});
