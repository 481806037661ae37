import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { ContainerUsage } from "../../src/agent/engine/engine-usage.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { FleetError } from "../../src/domain/errors.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { eventually } from "../support/control-plane-harness.ts";
import { Fleet, patienceMs } from "../support/fleet.ts";

/** Counts readings, and fails for one container. */
class CountingEngine extends SimulatedEngine {
  atOnce = 0;
  mostAtOnce = 0;
  odd = "";

  override async usage(container: string, signal: AbortSignal): Promise<ContainerUsage | undefined> {
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    try {
      await delay(5);
      if (container === this.odd) throw new FleetError("ENGINE_FAILED", "the engine cannot tell of it");
      return await super.usage(container, signal);
    } finally {
      this.atOnce -= 1;
    }
  }
}

describe("figures of many containers", function () {
  this.timeout(30_000);
  this.slow(10_000);
  let fleet: Fleet;
  let engine: CountingEngine;

  beforeEach(async () => {
    engine = new CountingEngine({ clock: systemClock });
    fleet = await Fleet.start();
    await fleet.enrol("one", engine);
    for (let number = 0; number < 30; number += 1) await fleet.make("one", `box-${number}`, {});
  });
  afterEach(async () => {
    await fleet[Symbol.asyncDispose]();
    await engine.close();
  });

  it("O14 are read a few at a time, and one that the engine cannot tell of takes nothing from the others", async () => {
    const containers = await eventually(
      async () => {
        const { containers: all } = await fleet.api.containers.listContainers({
          states: [ContainerState.RUNNING],
        });
        return all.length === 30 ? all : undefined;
      },
      "all of them run",
      patienceMs,
    );
    engine.odd = containers.find(({ name }) => name === "box-7")?.id ?? "";
    const { containers: measured, failures } = await fleet.api.stats.getStats({});
    assert.deepEqual(failures, []);
    assert.equal(measured.length, 29);
    assert.ok(measured.every(({ containerName }) => containerName !== "box-7"));
    assert.ok(engine.mostAtOnce > 1 && engine.mostAtOnce <= 8, `${engine.mostAtOnce} at once`);
  });

  it("O14 an engine that stops is told once, and measured again when it is back", async () => {
    const reading = new AbortController();
    const told: string[] = [];
    const request = { includeHosts: true };
    for await (const { failure, containers, host, source } of fleet.api.stats.streamStats(request, {
      signal: reading.signal,
    })) {
      if (failure !== undefined) {
        told.push(failure.reason);
        engine.setAvailable(true);
      } else if (source !== undefined) {
        assert.ok(host !== undefined && containers.length > 0);
        if (told.length > 0) break;
        told.push("measured");
        engine.setAvailable(false);
      }
    }
    reading.abort();
    assert.deepEqual(told, ["measured", "ENGINE_UNAVAILABLE"]);
  });
});
