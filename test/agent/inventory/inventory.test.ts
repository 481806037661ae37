import assert from "node:assert/strict";
import type { EngineContainer, EngineNotice } from "../../../src/agent/engine/engine.ts";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { ContainerMirror } from "../../../src/agent/inventory/container-mirror.ts";
import { InventoryFeed, type InventoryStep } from "../../../src/agent/inventory/inventory-feed.ts";
import { ContainerAction } from "../../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { ContainerState } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import { eventually } from "../../support/fake-control-plane.ts";

const container = (id: string): EngineContainer => ({ id, name: `name-${id}` });

/** All steps that a feed has to tell now, in short. */
function told(feed: InventoryFeed): string[] {
  const steps: string[] = [];
  for (let step = feed.next(); step !== undefined; step = feed.next()) steps.push(inShort(step));
  return steps;
}

function inShort(step: InventoryStep): string {
  switch (step.kind) {
    case "begin":
      return "begin";
    case "container":
      return `+${step.container.id}`;
    case "removed":
      return `-${step.containerId}`;
    case "end":
      return `end ${step.containerCount}`;
  }
}

describe("the inventory that a session tells", () => {
  let mirror: ContainerMirror;
  let feed: InventoryFeed;
  beforeEach(() => {
    mirror = new ContainerMirror();
    feed = new InventoryFeed(mirror, () => undefined);
  });

  it("O03 says nothing before there is a list, then all of it", () => {
    assert.deepEqual(told(feed), []);
    assert.equal(feed.complete, false);
    mirror.replace([container("a"), container("b")]);
    assert.deepEqual(told(feed), ["begin", "+a", "+b", "end 2"]);
    assert.equal(feed.complete, true);
  });

  it("O03 what changes while a snapshot is under way comes after it, or within it, but not twice", () => {
    mirror.replace(["a", "b", "c", "d"].map(container));
    const begun = [feed.next(), feed.next()].map((step) => step && inShort(step));
    assert.deepEqual(begun, ["begin", "+a"]);
    mirror.upsert(container("a"));
    mirror.upsert(container("b"));
    mirror.remove("c");
    mirror.upsert(container("new"));
    assert.deepEqual(told(feed), ["+b", "+d", "end 3", "+a", "-c", "+new"]);
  });

  it("S19 a fresh list begins the snapshot anew", () => {
    mirror.replace([container("a"), container("b")]);
    feed.next();
    feed.next();
    mirror.replace([container("b")]);
    assert.deepEqual(told(feed), ["begin", "+b", "end 1"]);
  });

  it("many changes of one container become one step", () => {
    mirror.replace([container("a")]);
    told(feed);
    for (let change = 0; change < 100; change += 1) mirror.upsert(container("a"));
    assert.deepEqual(told(feed), ["+a"]);
  });
});

describe("an agent that follows its engine", () => {
  it("O02 tells of a container that somebody starts and removes by hand, within a second", async () => {
    const harness = new AgentHarness();
    try {
      const plane = await harness.controlPlane();
      await harness.agent({ server: plane.address });
      const session = await plane.session();
      await session.until("the snapshot", () => session.all("inventory").at(-1));
      const id = await harness.engine.createContainer("by-hand", sleepingSpec(), neverAborted);
      await harness.engine.startContainer(id, neverAborted);
      const beganMs = performance.now();
      const isRunning = () =>
        session
          .all("inventory")
          .some(
            ({ update }) =>
              update.case === "container" &&
              update.value.id === id &&
              update.value.state === ContainerState.RUNNING,
          ) || undefined;
      await session.until("the running container", isRunning);
      await harness.engine.removeContainer(id, { force: true, removeVolumes: false }, neverAborted);
      await session.until("the removal", () => (session.inventory().has(id) ? undefined : true));
      assert.ok(performance.now() - beganMs < 1000);
      const actions = session
        .all("hostEvents")
        .map(({ event: fact }) => fact.case === "container" && fact.value.action);
      assert.deepEqual(actions.slice(0, 2), [ContainerAction.CREATED, ContainerAction.STARTED]);
    } finally {
      await harness.close();
    }
  });

  it("O03 misses nothing of what happens while the list is taken", async () => {
    const listing = Promise.withResolvers<void>();
    const listed = Promise.withResolvers<void>();
    let looks = 0;
    class SlowListEngine extends SimulatedEngine {
      override async getContainer(id: string, signal: AbortSignal): Promise<EngineContainer> {
        looks += 1;
        return await super.getContainer(id, signal);
      }
      override async listContainers(signal: AbortSignal): Promise<EngineContainer[]> {
        const containers = await super.listContainers(signal);
        listing.resolve();
        await listed.promise;
        return containers;
      }
    }
    const engine = new SlowListEngine({ clock: systemClock, engineId: "engine-1" });
    const gone = await engine.createContainer("gone", sleepingSpec(), neverAborted);
    const harness = new AgentHarness(engine);
    try {
      const plane = await harness.controlPlane();
      await harness.agent({ server: plane.address });
      const session = await plane.session();
      await listing.promise;
      const born = await engine.createContainer("born", sleepingSpec(), neverAborted);
      await engine.removeContainer(gone, { force: false, removeVolumes: false }, neverAborted);
      await new Promise((resolve) => setTimeout(resolve, 100));
      const looksBefore = looks;
      listed.resolve();
      assert.equal(looksBefore, 0, "it looked before it had the list, which would have undone that");
      await session.until("both changes", () => {
        const inventory = session.inventory();
        return (inventory.get(born) === "born" && !inventory.has(gone)) || undefined;
      });
    } finally {
      await harness.close();
    }
  });

  it("S19 tries again when a list fails or the stream just ends", async () => {
    let watches = 0;
    class FailingEngine extends SimulatedEngine {
      override async listContainers(signal: AbortSignal): Promise<EngineContainer[]> {
        if (watches === 1) throw new Error("no list");
        return await super.listContainers(signal);
      }

      override async *watch(signal: AbortSignal): AsyncGenerator<EngineNotice> {
        watches += 1;
        for await (const notice of super.watch(signal)) {
          yield notice;
          if (watches === 2) return;
        }
      }
    }
    const harness = new AgentHarness(new FailingEngine({ clock: systemClock, engineId: "engine-1" }));
    try {
      const plane = await harness.controlPlane();
      await harness.agent({ server: plane.address });
      await eventually("the third try", () => (watches >= 3 ? true : undefined));
      const session = await plane.session();
      const id = await harness.engine.createContainer("followed", sleepingSpec(), neverAborted);
      await session.until("the container", () => session.inventory().get(id));
    } finally {
      await harness.close();
    }
  });
});
