import assert from "node:assert/strict";
import type { DockerEngine } from "../../src/agent/engine/docker-engine.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { ensureImage } from "../support/docker.ts";
import { engineAtSocket } from "../support/engine-at-socket.ts";
import { type PrivateEngine, startPrivateEngine } from "../support/private-engine.ts";

describe("docker: what an engine takes on the disk", function () {
  this.timeout(120_000);
  this.slow(30_000);
  let dockerd: PrivateEngine;
  let engine: DockerEngine;

  before(async function () {
    dockerd = await startPrivateEngine(this);
    engine = engineAtSocket(dockerd.socketPath);
  });
  after(async function () {
    this.timeout(60_000);
    await engine?.close();
    await dockerd?.dispose();
  });

  it("O18 counts what containers write, and volumes, used and unused, to the byte", async () => {
    const { docker } = dockerd;
    const image = await ensureImage(docker);
    const before = await engine.diskUsage(neverAborted);
    assert.deepEqual([before.images.totalCount, before.images.activeCount], [1, 0]);
    assert.ok(before.images.sizeBytes > 0n);
    assert.equal(before.images.reclaimableBytes, before.images.sizeBytes);

    await docker.createVolume({ Name: "unused" });
    const container = await docker.createContainer({
      Image: image,
      Cmd: ["sh", "-c", "head -c 5000 /dev/zero >/own; head -c 7000 /dev/zero >/data/kept; sleep 600"],
      HostConfig: { Binds: ["used:/data"], NetworkMode: "none" },
    });
    await container.start();
    const written = async () => (await engine.diskUsage(neverAborted)).containers.sizeBytes >= 5_000n;
    while (!(await written())) await new Promise((resolve) => setTimeout(resolve, 50));
    const running = await engine.diskUsage(neverAborted);
    assert.deepEqual([running.images.activeCount, running.images.reclaimableBytes], [1, 0n]);
    assert.deepEqual(running.containers, {
      totalCount: 1,
      activeCount: 1,
      sizeBytes: running.containers.sizeBytes,
      reclaimableBytes: 0n,
    });
    assert.deepEqual([running.volumes.totalCount, running.volumes.activeCount], [2, 1]);

    await container.kill();
    const stopped = await engine.diskUsage(neverAborted);
    assert.deepEqual([stopped.containers.totalCount, stopped.containers.activeCount], [1, 0]);
    assert.equal(stopped.containers.reclaimableBytes, stopped.containers.sizeBytes);
    assert.ok(stopped.volumes.sizeBytes >= 7_000n);
    assert.equal(stopped.volumes.reclaimableBytes, 0n, "a container has it still");
    await container.remove();
    const removed = await engine.diskUsage(neverAborted);
    assert.equal(removed.volumes.reclaimableBytes, removed.volumes.sizeBytes);
  });
});
