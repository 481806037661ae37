import assert from "node:assert/strict";
import { diskUsageFrom } from "../../../src/agent/engine/docker-disk-usage.ts";

function group(totalCount: number, activeCount: number, size: number, reclaimable: number) {
  return { totalCount, activeCount, sizeBytes: BigInt(size), reclaimableBytes: BigInt(reclaimable) };
}

describe("agent/engine: what Docker takes on the disk", () => {
  it("O18 is counted as docker system df counts: shared layers once, and what is used not as reclaimable", () => {
    const usage = diskUsageFrom({
      LayersSize: 1_000,
      Images: [
        { Containers: 2, Size: 600, SharedSize: 100 },
        { Containers: 0, Size: 400, SharedSize: 100 },
        { Containers: 1, Size: 300, SharedSize: -1 },
      ],
      Containers: [
        { State: "running", SizeRw: 10 },
        { State: "paused", SizeRw: 20 },
        { State: "restarting", SizeRw: 40 },
        { State: "exited", SizeRw: 80 },
        { State: "created" },
      ],
      Volumes: [
        { UsageData: { RefCount: 1, Size: 7 } },
        { UsageData: { RefCount: 0, Size: 11 } },
        { UsageData: { RefCount: -1, Size: -1 } },
        { UsageData: null },
      ],
      BuildCache: [
        { InUse: true, Shared: false, Size: 3 },
        { InUse: false, Shared: false, Size: 5 },
        { InUse: false, Shared: true, Size: 1_000 },
      ],
    });
    assert.deepEqual(usage, {
      images: group(3, 2, 1_000, 500),
      containers: group(5, 3, 150, 80),
      volumes: group(4, 1, 18, 11),
      buildCache: group(3, 1, 8, 5),
    });
  });

  it("O18 an engine that leaves out what is empty has nothing", () => {
    const { images, volumes } = diskUsageFrom({ Images: null, Volumes: null });
    const nothing = { totalCount: 0, activeCount: 0, sizeBytes: 0n, reclaimableBytes: 0n };
    assert.deepEqual([images, volumes], [nothing, nothing]);
  });
});
