import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RestartPolicy_Mode } from "../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { ContainerUpdateSchema } from "../../src/gen/fairlead/container/v1/container_update_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { type EngineKit, refused } from "./engine-kit.ts";
import { EngineWatcher } from "./engine-watcher.ts";

const mebibyte = 1024n * 1024n;

/** What a container may use, changed while it runs. */
export function updateTests(kit: EngineKit): void {
  const update = (container: string, init: MessageInitShape<typeof ContainerUpdateSchema>) =>
    kit.engine.updateContainer(container, create(ContainerUpdateSchema, init), neverAborted);
  const limitsOf = async (container: string) => {
    const { limits, restartPolicy } = await kit.engine.getContainer(container, neverAborted);
    return [limits?.memoryBytes, limits?.milliCpus, limits?.pids, limits?.cpuShares, restartPolicy];
  };

  it("O04 an update changes what it names, and leaves the rest as it is", async () => {
    const { id, name } = await kit.run({ limits: { memoryBytes: 64n * mebibyte, pids: 50 } });
    assert.deepEqual(await limitsOf(id), [64n * mebibyte, 0, 50, 0, ""]);
    assert.deepEqual(await update(name, { milliCpus: 500 }), { changed: true });
    assert.deepEqual(await limitsOf(id), [64n * mebibyte, 500, 50, 0, ""]);
    assert.deepEqual(await update(id, { pids: 0, cpuShares: 512 }), { changed: true });
    assert.deepEqual(await limitsOf(id), [64n * mebibyte, 500, 0, 512, ""]);
    const restartPolicy = { mode: RestartPolicy_Mode.ON_FAILURE, maxRetries: 3 };
    assert.deepEqual(await update(id, { restartPolicy }), { changed: true });
    assert.deepEqual(await limitsOf(id), [64n * mebibyte, 500, 0, 512, "on-failure:3"]);
    await update(id, { restartPolicy: { mode: RestartPolicy_Mode.UNLESS_STOPPED, maxRetries: 3 } });
    assert.equal((await limitsOf(id)).at(-1), "unless-stopped");
    await update(id, { restartPolicy: { mode: RestartPolicy_Mode.NO } });
    assert.equal((await limitsOf(id)).at(-1), "");
  });

  it("O04 memory can be made more than twice as much, and less again, without a word about swap", async () => {
    const { id } = await kit.run({ limits: { memoryBytes: 64n * mebibyte } });
    await update(id, { memoryBytes: 256n * mebibyte });
    assert.equal((await limitsOf(id))[0], 256n * mebibyte);
    await update(id, { memoryBytes: 32n * mebibyte });
    assert.equal((await limitsOf(id))[0], 32n * mebibyte);
    const { engineJson } = await kit.engine.inspectContainer(id, neverAborted);
    const { HostConfig } = JSON.parse(engineJson) as { HostConfig: { MemorySwap: number } };
    assert.equal(HostConfig.MemorySwap, Number(64n * mebibyte));
    const { id: unlimited } = await kit.run();
    await update(unlimited, { memoryBytes: 64n * mebibyte });
    assert.equal((await limitsOf(unlimited))[0], 64n * mebibyte);
  });

  it("O05 an update to what is so already changes nothing, and neither does one that says nothing", async () => {
    const { id } = await kit.run({ limits: { memoryBytes: 64n * mebibyte } });
    const watcher = await EngineWatcher.open(kit.engine);
    const restartPolicy = { mode: RestartPolicy_Mode.NO };
    const unchanged = { changed: false };
    assert.deepEqual(await update(id, { memoryBytes: 64n * mebibyte, pids: 0, restartPolicy }), unchanged);
    assert.deepEqual(await update(id, {}), unchanged);
    assert.deepEqual(await update(id, { pids: 33 }), { changed: true });
    await watcher.until(id, "UPDATED");
    await watcher.close();
    assert.deepEqual(watcher.of(id), ["UPDATED"]);
  });

  it("O06 an update that the engine refuses: its own words, and nothing is otherwise", async () => {
    const { id } = await kit.make({ autoRemove: true });
    await refused(
      update(id, { memoryBytes: 4096n }),
      "INVALID_ARGUMENT",
      "Minimum memory limit allowed is 6MB",
    );
    await refused(update(id, { milliCpus: 10_000_000 }), "INVALID_ARGUMENT", "Range of CPUs is from 0.01 to");
    const restartPolicy = { mode: RestartPolicy_Mode.ALWAYS };
    await refused(
      update(id, { restartPolicy }),
      "CONFLICT",
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    );
    assert.deepEqual(await limitsOf(id), [undefined, undefined, undefined, undefined, ""]);
    await refused(update("no-such-thing", { pids: 1 }), "CONTAINER_NOT_FOUND", "No such container");
  });
}
