import type { EngineDiskUsage } from "./engine.ts";
import type { SimulatedContainer } from "./simulated-container.ts";

const imageBytes = 4_500_000n;
const writtenBytes = 4_096n;
const nothing = { totalCount: 0, activeCount: 0, sizeBytes: 0n, reclaimableBytes: 0n };

/** What a simulated engine would take on the disk: each image the same, and each container a little. */
export function simulatedDiskUsage(containers: readonly SimulatedContainer[]): EngineDiskUsage {
  const imageCount = new Set(containers.map(({ origin }) => origin.spec.image)).size;
  const running = containers.filter(({ run }) => run !== undefined).length;
  return {
    images: {
      totalCount: imageCount,
      activeCount: imageCount,
      sizeBytes: BigInt(imageCount) * imageBytes,
      reclaimableBytes: 0n,
    },
    containers: {
      totalCount: containers.length,
      activeCount: running,
      sizeBytes: BigInt(containers.length) * writtenBytes,
      reclaimableBytes: BigInt(containers.length - running) * writtenBytes,
    },
    volumes: nothing,
    buildCache: nothing,
  };
}
