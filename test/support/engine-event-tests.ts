import assert from "node:assert/strict";
import { neverAborted } from "../../src/resilience/signals.ts";
import type { EngineKit } from "./engine-kit.ts";
import { EngineWatcher } from "./engine-watcher.ts";

/** Facts are told once each, and waiting ends when it should. */
export function eventTests(kit: EngineKit): void {
  it("L05 each fact is told once, however many events the engine makes of it", async () => {
    const watcher = await EngineWatcher.open(kit.engine);
    const { id, name } = await kit.make();
    await kit.engine.startContainer(id, neverAborted);
    await kit.engine.pauseContainer(id, neverAborted);
    await kit.engine.unpauseContainer(id, neverAborted);
    await kit.engine.stopContainer(id, 0, neverAborted);
    await kit.engine.startContainer(id, neverAborted);
    await kit.engine.restartContainer(id, 0, neverAborted);
    await kit.engine.killContainer(id, "HUP", neverAborted);
    await kit.engine.killContainer(id, "KILL", neverAborted);
    await watcher.until(id, "DIED");
    const renamed = kit.harness.uniqueName();
    await kit.engine.renameContainer(id, renamed, neverAborted);
    await kit.remove(id);
    await watcher.until(id, "REMOVED");
    assert.equal(await watcher.close(), undefined);
    assert.deepEqual(watcher.of(id), [
      "CREATED",
      "STARTED",
      "PAUSED",
      "UNPAUSED",
      "DIED",
      "STARTED",
      "DIED",
      "STARTED",
      "DIED",
      "RENAMED",
      "REMOVED",
    ]);
    const events = watcher.events(id);
    assert.deepEqual([events[0]?.containerName, events.at(-1)?.containerName], [name, renamed]);
    assert.ok(events.every(({ image }) => image === kit.harness.image));
    assert.equal(events.find(({ exitCode }) => exitCode !== 0)?.exitCode, 137);
    const times = events.map(({ timeNs }) => timeNs);
    assert.deepEqual(
      times,
      times.toSorted((one, other) => (one < other ? -1 : one > other ? 1 : 0)),
    );
    assert.ok(Math.abs(Number((times[0] ?? 0n) / 1_000_000n) - Date.now()) < 60_000, "not in nanoseconds");
  });

  it("L05 an end by itself carries its exit code, and two watchers both hear of it", async () => {
    const watchers = await Promise.all([EngineWatcher.open(kit.engine), EngineWatcher.open(kit.engine)]);
    const { id } = await kit.run({ command: ["sh", "-c", "exit 3"] });
    for (const watcher of watchers) {
      await watcher.until(id, "DIED");
      assert.deepEqual(watcher.of(id), ["CREATED", "STARTED", "DIED"]);
      assert.equal(watcher.events(id).at(-1)?.exitCode, 3);
      await watcher.close();
    }
  });

  it("L05 nothing that happens after `listening` is missed", async () => {
    for (let round = 0; round < 5; round += 1) {
      const watcher = await EngineWatcher.open(kit.engine);
      const { id } = await kit.make();
      await watcher.until(id, "CREATED");
      await watcher.close();
    }
  });

  it("L06 a watch is told first what happened since a time that it gives, in its order, and not what was before", async () => {
    const watcher = await EngineWatcher.open(kit.engine);
    const { id } = await kit.run({ command: ["sh", "-c", "exit 3"] });
    await watcher.until(id, "DIED");
    const [, { timeNs: startNs } = { timeNs: 0n }] = watcher.events(id);
    const late = await EngineWatcher.open(kit.engine, startNs);
    await late.until(id, "DIED");
    assert.deepEqual(late.events(id), watcher.events(id).slice(1));
    await Promise.all([watcher.close(), late.close()]);
  });

  it("L05 a watch whose signal aborts, before or meanwhile, just ends", async () => {
    const notices: unknown[] = [];
    for await (const notice of kit.engine.watch(AbortSignal.abort(new Error("too late")))) {
      notices.push(notice);
    }
    assert.deepEqual(notices, []);
    const watcher = await EngineWatcher.open(kit.engine);
    assert.equal(await watcher.close(), undefined);
  });

  it("O20 an abort rejects with the reason of the signal", async () => {
    const reason = new Error("the caller has gone");
    const aborted = AbortSignal.abort(reason);
    await assert.rejects(kit.engine.facts(aborted), reason);
    await assert.rejects(kit.engine.listContainers(aborted), reason);
    await assert.rejects(kit.engine.startContainer("any", aborted), reason);
    const { id } = await kit.run();
    const controller = new AbortController();
    const stop = kit.engine.stopContainer(id, 30_000, controller.signal);
    setTimeout(() => controller.abort(reason), 100);
    await assert.rejects(stop, reason);
  });
}
