import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Census } from "../../support/census.ts";
import { eventually } from "../../support/control-plane-harness.ts";
import { CountedControlPlane } from "../../support/counted-control-plane.ts";
import { enrolledFleet } from "../../support/enrolled-fleet.ts";
import { liveStreams } from "../../support/stream-lives.ts";

// What is made once, whatever comes, has been made by then.
const warmUp = 2_000;
const measured = 8_000;
// Far more than comes and goes by itself, and fewer than one for each session among those measured.
const tolerableObjects = 500;
// A kilobyte a stream would be twice as much.
const tolerableBytes = 4 * 1024 * 1024;
const patienceMs = 60_000;

describe("what ten thousand streams leave behind", function () {
  this.timeout(10 * patienceMs);
  this.slow(patienceMs);
  let dataDir: string;

  before(async () => {
    // Where there is one, a folder in memory: how fast a disk is does not matter here.
    const folder = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
    dataDir = await mkdtemp(join(folder, "fairlead-leftovers-"));
  });
  after(() => rm(dataDir, { recursive: true, force: true }));

  it("S16 10,000 streams opened and closed leave no memory, timer, listener, session, data stream or socket", async () => {
    const identities = await enrolledFleet(dataDir, 50);
    await using plane = await CountedControlPlane.start({ dataDir, session: { handshakeTimeoutMs: 8_000 } });
    const { timers } = await plane.figures();
    const censusAfter = async (streams: number): Promise<Census> => {
      await liveStreams(plane.agentsPort, identities, streams);
      const isQuiet = async () => {
        const figures = await plane.figures();
        const open = figures.sessions + figures.dataStreams + figures.sockets;
        return open === 0 && figures.timers <= timers;
      };
      await eventually(
        isQuiet,
        "no session, no data stream, no socket, and the timers of the start",
        patienceMs,
      );
      return plane.census();
    };
    const early = await censusAfter(warmUp);
    const late = await censusAfter(measured);
    assert.deepEqual((await plane.figures()).warnings, []);
    assert.equal(late.objects.wheelTimers, 0);
    for (const kind of ["functions", "emitters", "all"] as const) {
      const grown = late.objects[kind] - early.objects[kind];
      assert.ok(grown < tolerableObjects, `${kind}: ${grown} more after ${measured} streams`);
    }
    const grownBytes = late.heapBytes - early.heapBytes;
    assert.ok(grownBytes < tolerableBytes, `${grownBytes} bytes more after ${measured} streams`);
  });
});
