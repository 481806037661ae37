import assert from "node:assert/strict";
import fc from "fast-check";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FleetInventory } from "../../../src/control-plane/inventory/fleet-inventory.ts";
import type { InventoryUpdate } from "../../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { ContainerState } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import { begin, end, everything, gone, idOf, labelsOf, seen } from "./inventory-steps.ts";

const host = { hostId: "h1", hostName: "alpha", agentId: "a1" };

describe("the inventory of a host", () => {
  let inventory: FleetInventory;

  beforeEach(() => {
    inventory = new FleetInventory();
    inventory.setHost(host);
  });

  const apply = (...updates: InventoryUpdate[]) => {
    for (const update of updates) {
      inventory.apply("h1", update);
    }
  };
  const names = () => labelsOf(inventory.list(everything, undefined, 1_000));

  it("O03 a snapshot replaces what was known only when it is complete", () => {
    apply(begin(), seen({ id: idOf("a"), name: "old" }), seen({ id: idOf("b"), name: "kept" }), end());
    apply(begin(), seen({ id: idOf("b"), name: "kept" }));
    assert.deepEqual(names(), ["alpha/kept", "alpha/old"]);
    apply(end());
    assert.deepEqual(names(), ["alpha/kept"]);
  });

  it("O03 a delta during a snapshot counts for now and for the snapshot", () => {
    apply(seen({ id: idOf("a"), name: "going" }), begin(), seen({ id: idOf("a"), name: "going" }));
    apply(gone(idOf("a")), seen({ id: idOf("b"), name: "new" }));
    assert.deepEqual(names(), ["alpha/new"]);
    apply(end());
    assert.deepEqual(names(), ["alpha/new"]);
  });

  it("O03 half a snapshot of a session that broke is forgotten, and what was known stays", () => {
    apply(seen({ id: idOf("a"), name: "known" }), begin(), seen({ id: idOf("b"), name: "half" }));
    inventory.resetSnapshot("h1");
    apply(end());
    assert.deepEqual(names(), ["alpha/half", "alpha/known"]);
  });

  it("O03 a second begin forgets the first", () => {
    apply(
      begin(),
      seen({ id: idOf("a"), name: "first" }),
      begin(),
      seen({ id: idOf("b"), name: "second" }),
      end(),
    );
    assert.deepEqual(names(), ["alpha/second"]);
  });

  it("O03 steps of a host that was deleted meanwhile change nothing", () => {
    inventory.removeHost("h1");
    apply(seen({ id: idOf("a"), name: "late" }));
    inventory.setOnline("h1", true);
    assert.deepEqual(inventory.hosts(), []);
    assert.throws(() => inventory.resolve("late", ""), { reason: "CONTAINER_NOT_FOUND" });
  });

  it("O03 any order of steps gives what a simple model gives", () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
        inventory = new FleetInventory();
        inventory.setHost(host);
        const model = new Model();
        for (const step of steps) {
          model.take(step);
          if (step.kind === "reset") {
            inventory.resetSnapshot("h1");
          } else {
            apply(updateOf(step));
          }
          const listed = inventory.list(everything, undefined, 1_000);
          assert.deepEqual(
            new Map(listed.map(({ container }) => [container.id, container.name])),
            model.live,
          );
          assert.equal(inventory.host("h1")?.containerCount, model.live.size);
          for (const [id, name] of model.live) {
            assert.equal(inventory.resolve(id, "").container?.name, name);
            assert.equal(inventory.resolve(name, "h1").container?.name, name);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("O03 after any breaks and changes, a whole snapshot with deltas in between leaves it equal to the engine", () => {
    fc.assert(
      fc.property(fc.array(anySession, { minLength: 1, maxLength: 5 }), (sessions) => {
        inventory = new FleetInventory();
        inventory.setHost(host);
        const engine = new Map<string, string>();
        sessions.forEach((session, index) => {
          inventory.resetSnapshot("h1");
          const isLast = index === sessions.length - 1;
          const sent = snapshotWithDeltas(engine, session.changes);
          apply(...(isLast ? sent : sent.slice(0, session.brokenAfter)));
        });
        const listed = inventory.list(everything, undefined, 1_000);
        assert.deepEqual(new Map(listed.map(({ container }) => [container.id, container.name])), engine);
      }),
      { numRuns: 300 },
    );
  });

  it("O07 during a snapshot the name of a container that was made again means the new one", () => {
    apply(seen({ id: idOf("a"), name: "web" }), begin(), seen({ id: idOf("b"), name: "web" }));
    assert.equal(inventory.resolve("web", "").containerId, idOf("b"));
    assert.equal(inventory.resolve("web", "alpha").containerId, idOf("b"));
    apply(end());
    assert.equal(inventory.resolve("web", "").containerId, idOf("b"));
  });

  it("O22 a container without a time of its own is as of the step that told it", () => {
    const update = seen({ id: idOf("a"), name: "web" });
    apply({ ...update, observedTime: timestampFromMs(5_000) });
    assert.deepEqual(inventory.resolve("web", "").container?.observedTime, timestampFromMs(5_000));
  });

  it("O22 what is known stays when the host goes offline, and the host says so", () => {
    apply(
      seen({ id: idOf("a"), name: "web" }),
      seen({ id: idOf("b"), name: "db", state: ContainerState.EXITED }),
    );
    inventory.setOnline("h1", true);
    inventory.setEngine("h1", true);
    const before = inventory.host("alpha");
    inventory.setOnline("h1", false);
    const counts = { containerCount: 2, runningContainerCount: 1, labels: {} };
    assert.deepEqual(before, { ...host, ...counts, online: true, engineAvailable: true });
    assert.deepEqual(inventory.host("alpha"), { ...host, ...counts, online: false, engineAvailable: true });
    assert.deepEqual(names(), ["alpha/db", "alpha/web"]);
  });
});

type Change =
  | { readonly kind: "put"; readonly id: string; readonly name: string }
  | { readonly kind: "remove"; readonly id: string };
type Step = Change | { readonly kind: "begin" | "end" | "reset" };

const anyId = fc.constantFrom("a", "b", "c", "d", "e").map(idOf);
const anyChange: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    kind: fc.constant("put" as const),
    id: anyId,
    name: fc.constantFrom("web", "db", "cache", "job"),
  }),
  fc.record({ kind: fc.constant("remove" as const), id: anyId }),
);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: anyChange },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("begin" as const, "end" as const, "reset" as const) }),
  },
);
const anySession = fc.record({ changes: fc.array(anyChange, { maxLength: 12 }), brokenAfter: fc.nat(20) });

function updateOf(step: Exclude<Step, { kind: "reset" }>): InventoryUpdate {
  switch (step.kind) {
    case "put":
      return seen({ id: step.id, name: step.name });
    case "remove":
      return gone(step.id);
    case "begin":
      return begin();
    case "end":
      return end();
    default:
      throw new Error("no such step");
  }
}

/** What the inventory should do, in as few words as there are. */
class Model {
  live = new Map<string, string>();
  #snapshot: Map<string, string> | undefined;

  take(step: Step): void {
    if (step.kind === "put") {
      this.live.set(step.id, step.name);
      this.#snapshot?.set(step.id, step.name);
    } else if (step.kind === "remove") {
      this.live.delete(step.id);
      this.#snapshot?.delete(step.id);
    } else if (step.kind === "begin") {
      this.#snapshot = new Map();
    } else {
      this.live = step.kind === "end" ? (this.#snapshot ?? this.live) : this.live;
      this.#snapshot = undefined;
    }
  }
}

/**
 * What an agent sends that lists the engine, then sends the list while the engine goes on changing: a change of a
 * container waits until the list's own word about it is sent. Leaves the engine as changed.
 */
function snapshotWithDeltas(engine: Map<string, string>, changes: readonly Change[]): InventoryUpdate[] {
  const listed = [...engine].map(([id, name]) => ({ kind: "put" as const, id, name }));
  const sent: InventoryUpdate[] = [begin()];
  const waiting = [...changes];
  for (const item of listed) {
    sent.push(updateOf(item));
    const pending = new Set(listed.slice(listed.indexOf(item) + 1).map(({ id }) => id));
    // Changes are sent in order, and so one that must wait holds back those after it.
    while (waiting[0] !== undefined && !pending.has(waiting[0].id)) {
      sent.push(updateOf(waiting.shift()!));
    }
  }
  sent.push(end(), ...waiting.map(updateOf));
  for (const change of changes) {
    if (change.kind === "put") {
      engine.set(change.id, change.name);
    } else {
      engine.delete(change.id);
    }
  }
  return sent;
}
