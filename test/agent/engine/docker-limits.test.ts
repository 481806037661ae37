import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { changedMembers, limitsFromHostConfig } from "../../../src/agent/engine/docker-limits.ts";
import type { DockerHostConfig } from "../../../src/agent/engine/docker-json.ts";
import { ContainerUpdateSchema } from "../../../src/gen/fairlead/container/v1/container_update_pb.js";

const members = (init: MessageInitShape<typeof ContainerUpdateSchema>, now: DockerHostConfig) =>
  changedMembers(create(ContainerUpdateSchema, init), now);

describe("limits as Docker has them", () => {
  it("O04 a limit of memory and swap that somebody chose stays, one that Docker chose follows", () => {
    const memoryBytes = 300n;
    for (const [Memory, MemorySwap, expected] of [
      [0, 0, 600],
      [100, 200, 600],
      [100, -1, -1],
      [100, 250, undefined],
      [100, 100, undefined],
    ] as const) {
      assert.equal(members({ memoryBytes }, { Memory, MemorySwap }).MemorySwap, expected, `${MemorySwap}`);
    }
  });

  it("O05 only what is otherwise is told to the engine, whatever its word for no limit", () => {
    for (const PidsLimit of [undefined, null, 0, -1]) {
      assert.deepEqual(members({ pids: 0 }, { PidsLimit }), {});
    }
    const now = { Memory: 5, NanoCpus: 250_000_000, CpuShares: 7, RestartPolicy: { Name: "" } };
    const update = { memoryBytes: 5n, milliCpus: 250, cpuShares: 7, restartPolicy: {} };
    assert.deepEqual(members(update, now), {});
    assert.deepEqual(members({ ...update, cpuShares: 8 }, now), { CpuShares: 8 });
  });

  it("O04 limits of processors are told in one way, and what no schema holds as its nearest", () => {
    assert.equal(limitsFromHostConfig({}), undefined);
    assert.equal(limitsFromHostConfig({ NanoCpus: 1_500_000_000 })?.milliCpus, 1_500);
    assert.equal(limitsFromHostConfig({ CpuQuota: 50_000, CpuPeriod: 25_000 })?.milliCpus, 2_000);
    assert.equal(limitsFromHostConfig({ CpuQuota: 50_000 })?.milliCpus, 500);
    assert.equal(limitsFromHostConfig({ PidsLimit: 2 ** 40 })?.pids, 4_194_304);
    assert.equal(limitsFromHostConfig({ Memory: -1, CpuShares: 2 })?.memoryBytes, 0n);
  });
});
