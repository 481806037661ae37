import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { neverAborted } from "../../src/resilience/signals.ts";
import { type EngineKit, refused } from "./engine-kit.ts";

/** What `Engine.usage` and `Engine.hostUsage` promise. */
export function usageTests(kit: EngineKit): void {
  it("O14 a container that runs has used processor time, memory and processes, and uses more as it goes on", async () => {
    const { id } = await kit.run({ command: ["sh", "-c", "while true; do :; done"] });
    const first = await kit.engine.usage(id, neverAborted);
    await delay(300);
    const second = await kit.engine.usage(id, neverAborted);
    assert.ok(first !== undefined && second !== undefined);
    assert.ok(second.timeMs > first.timeMs);
    assert.ok(second.cpuTotalNs > first.cpuTotalNs, "it works");
    assert.ok(second.cpuSystemNs > first.cpuSystemNs);
    assert.ok(second.cpuCount > 0 && second.pids > 0);
    assert.ok(second.memoryBytes > 0n && second.memoryBytes < second.memoryLimitBytes);
    await kit.remove(id);
  });

  it("O14 the memory that a container may use is its limit", async () => {
    const memoryBytes = 64n * 1024n * 1024n;
    const { id } = await kit.run({ limits: { memoryBytes } });
    assert.equal((await kit.engine.usage(id, neverAborted))?.memoryLimitBytes, memoryBytes);
  });

  it("O14 a container that does not run uses nothing, and one that is not there is not found", async () => {
    const { id, name } = await kit.make();
    assert.equal(await kit.engine.usage(name, neverAborted), undefined);
    await kit.remove(id);
    await refused(kit.engine.usage(id, neverAborted), "CONTAINER_NOT_FOUND", id);
  });

  it("O14 a host has processors, memory and a disk, of which a part is used", async () => {
    const usage = await kit.engine.hostUsage(neverAborted);
    assert.ok(usage.cpuCount > 0 && usage.cpuTotalMs > usage.cpuBusyMs && usage.loadAverage >= 0);
    assert.ok(usage.memoryBytes > 0n && usage.memoryBytes < usage.memoryTotalBytes);
    assert.ok(usage.diskBytes > 0n && usage.diskBytes < usage.diskTotalBytes);
  });
}
