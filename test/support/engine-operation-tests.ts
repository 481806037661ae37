import assert from "node:assert/strict";
import { FleetError } from "../../src/domain/errors.ts";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { type EngineKit, refused, settled } from "./engine-kit.ts";
import { EngineWatcher } from "./engine-watcher.ts";

/** What changes containers does what it says, and says whether anything changed. */
export function operationTests(kit: EngineKit): void {
  it("O04 a container is created, started, stopped, and removed", async () => {
    const { id, name } = await kit.make();
    assert.match(id, /^[0-9a-f]{64}$/);
    const created = await kit.engine.getContainer(id, neverAborted);
    assert.equal(created.name, name);
    assert.equal(created.state, ContainerState.CREATED);
    assert.equal(created.startedTime, undefined);
    assert.deepEqual(await kit.engine.startContainer(id, neverAborted), { changed: true });
    const running = await kit.engine.getContainer(id, neverAborted);
    assert.equal(running.state, ContainerState.RUNNING);
    assert.ok(running.startedTime !== undefined && running.createdTime !== undefined);
    assert.equal(running.finishedTime, undefined);
    assert.deepEqual(await kit.engine.stopContainer(id, 1000, neverAborted), { changed: true });
    const stopped = await kit.engine.getContainer(id, neverAborted);
    assert.equal(stopped.state, ContainerState.EXITED);
    assert.equal(stopped.exitCode, 137, "the first process ignores SIGTERM and is killed");
    assert.ok(stopped.finishedTime !== undefined);
    const plainRemoval = { force: false, removeVolumes: false };
    assert.deepEqual(await kit.engine.removeContainer(id, plainRemoval, neverAborted), { changed: true });
    await refused(kit.engine.getContainer(id, neverAborted), "CONTAINER_NOT_FOUND", id);
  });

  it("O04 the grace of a stop is passed on: a process that ends in time gives its own exit code", async () => {
    const { id } = await kit.run({
      command: ["sh", "-c", "trap 'exit 7' TERM; while true; do sleep 0.1; done"],
    });
    // The shell needs a moment until it has set its trap.
    await new Promise((resolve) => setTimeout(resolve, 300));
    await kit.engine.stopContainer(id, 20_000, neverAborted);
    assert.equal((await kit.engine.getContainer(id, neverAborted)).exitCode, 7);
  });

  it("O04 no grace at all kills at once, and a container's own grace counts when none is given", async () => {
    const { id } = await kit.run({ stopGracePeriod: { seconds: 1n } });
    const began = performance.now();
    await kit.engine.stopContainer(id, 0, neverAborted);
    await kit.engine.startContainer(id, neverAborted);
    const middle = performance.now();
    await kit.engine.stopContainer(id, undefined, neverAborted);
    const took = performance.now() - middle;
    assert.ok(took > 900 && took < 8_000, `a grace of 1 s took ${took} ms`);
    assert.ok(middle - began < 5_000, "no grace took long");
  });

  it("O04 a restart gives a new run, and starts what does not run", async () => {
    const { id } = await kit.run();
    const first = await kit.engine.getContainer(id, neverAborted);
    assert.deepEqual(await kit.engine.restartContainer(id, 0, neverAborted), { changed: true });
    const second = await kit.engine.getContainer(id, neverAborted);
    assert.equal(second.state, ContainerState.RUNNING);
    assert.notDeepEqual(second.startedTime, first.startedTime);
    await kit.engine.stopContainer(id, 0, neverAborted);
    assert.deepEqual(await kit.engine.restartContainer(id, 0, neverAborted), { changed: true });
    assert.equal(await kit.stateOf(id), ContainerState.RUNNING);
  });

  it("O04 kill sends any signal: SIGKILL when none is named, others by name and number", async () => {
    const { id } = await kit.run();
    for (const harmless of ["SIGHUP", "hup", "1", "RTMIN+3"]) {
      assert.deepEqual(await kit.engine.killContainer(id, harmless, neverAborted), { changed: true });
      assert.equal(await kit.stateOf(id), ContainerState.RUNNING, `${harmless} ended it`);
    }
    const watcher = await EngineWatcher.open(kit.engine);
    assert.deepEqual(await kit.engine.killContainer(id, "", neverAborted), { changed: true });
    await watcher.until(id, "DIED");
    await watcher.close();
    assert.equal((await kit.engine.getContainer(id, neverAborted)).exitCode, 137);
  });

  it("O04 pause and unpause", async () => {
    const { id } = await kit.run();
    assert.deepEqual(await kit.engine.pauseContainer(id, neverAborted), { changed: true });
    assert.equal(await kit.stateOf(id), ContainerState.PAUSED);
    await refused(kit.engine.startContainer(id, neverAborted), "CONFLICT", "paused");
    assert.deepEqual(await kit.engine.unpauseContainer(id, neverAborted), { changed: true });
    assert.equal(await kit.stateOf(id), ContainerState.RUNNING);
  });

  it("O04 rename keeps the id and frees the old name", async () => {
    const { id, name } = await kit.make();
    const renamed = kit.harness.uniqueName();
    assert.deepEqual(await kit.engine.renameContainer(name, renamed, neverAborted), { changed: true });
    assert.equal((await kit.engine.getContainer(renamed, neverAborted)).id, id);
    await refused(kit.engine.getContainer(name, neverAborted), "CONTAINER_NOT_FOUND", name);
    await kit.make({}, name);
  });

  it("O04 remove wants force for what runs", async () => {
    const { id } = await kit.run();
    const plainRemoval = kit.engine.removeContainer(id, { force: false, removeVolumes: false }, neverAborted);
    await refused(plainRemoval, "CONFLICT", "cannot remove a running container");
    assert.deepEqual(await kit.remove(id), { changed: true });
    await refused(kit.remove(id), "CONTAINER_NOT_FOUND", id);
  });

  it("O05 what is so already succeeds and says that nothing changed", async () => {
    const { id, name } = await kit.make();
    const unchanged = { changed: false };
    assert.deepEqual(await kit.engine.stopContainer(id, 0, neverAborted), unchanged);
    assert.deepEqual(await kit.engine.unpauseContainer(id, neverAborted), unchanged);
    await kit.engine.startContainer(id, neverAborted);
    assert.deepEqual(await kit.engine.startContainer(id, neverAborted), unchanged);
    assert.deepEqual(await kit.engine.unpauseContainer(id, neverAborted), unchanged);
    await kit.engine.pauseContainer(id, neverAborted);
    assert.deepEqual(await kit.engine.pauseContainer(id, neverAborted), unchanged);
    assert.deepEqual(await kit.engine.renameContainer(id, name, neverAborted), unchanged);
    assert.equal((await kit.engine.getContainer(id, neverAborted)).name, name);
  });

  it("O04 a container that is removed at its end is gone after a stop", async () => {
    const { id } = await kit.run({ autoRemove: true });
    const watcher = await EngineWatcher.open(kit.engine);
    await kit.engine.stopContainer(id, 0, neverAborted);
    await watcher.until(id, "REMOVED");
    await watcher.close();
    await refused(kit.engine.getContainer(id, neverAborted), "CONTAINER_NOT_FOUND", id);
  });

  it("O04 removed by two at once it is gone, and neither hears of anything but that", async () => {
    const { id } = await kit.run();
    const outcomes = await Promise.allSettled([kit.remove(id), kit.remove(id), kit.remove(id)]);
    assert.ok(outcomes.some((outcome) => outcome.status === "fulfilled" && outcome.value.changed));
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") {
        assert.equal((outcome.reason as FleetError).reason, "CONTAINER_NOT_FOUND");
      }
    }
    await refused(kit.engine.getContainer(id, neverAborted), "CONTAINER_NOT_FOUND", id);
  });

  it("O04 a container that is removed while it is being stopped does not keep the stop waiting", async () => {
    const { id } = await kit.run();
    const stop = kit.engine.stopContainer(id, 30_000, neverAborted).then(
      () => undefined,
      (error: unknown) => error,
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    await kit.remove(id);
    const outcome = await stop;
    assert.ok(outcome === undefined || outcome instanceof FleetError, String(outcome));
    await refused(kit.engine.getContainer(id, neverAborted), "CONTAINER_NOT_FOUND", id);
  });

  it("O20 twenty lives side by side all come to their own end", async () => {
    const ends = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const { id } = await kit.run({ command: ["sh", "-c", `sleep 0.2; exit ${index}`] });
        await settled(async () => (await kit.stateOf(id)) === ContainerState.EXITED);
        const { exitCode } = await kit.engine.getContainer(id, neverAborted);
        await kit.remove(id);
        return exitCode;
      }),
    );
    assert.deepEqual(
      ends,
      ends.map((_, index) => index),
    );
  });
}
