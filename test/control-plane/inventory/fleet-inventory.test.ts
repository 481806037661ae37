import assert from "node:assert/strict";
import fc from "fast-check";
import { FleetError } from "../../../src/domain/errors.ts";
import { FleetInventory, type FleetPosition } from "../../../src/control-plane/inventory/fleet-inventory.ts";
import type { LocatedContainer } from "../../../src/control-plane/inventory/host-view.ts";
import { ContainerState } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import { everything, gone, idOf, labelsOf, seen } from "./inventory-steps.ts";

describe("the inventory of the fleet", () => {
  let inventory: FleetInventory;

  beforeEach(() => {
    inventory = new FleetInventory();
    for (const name of ["beta", "alpha", "gamma"]) {
      inventory.setHost({ hostId: `id-${name}`, hostName: name, agentId: `agent-${name}` });
    }
  });

  const put = (host: string, id: string, name: string, more: Parameters<typeof seen>[0] = {}) =>
    inventory.apply(`id-${host}`, seen({ id: idOf(id), name, ...more }));
  const list = (filter: Partial<typeof everything>) =>
    labelsOf(inventory.list({ ...everything, ...filter }, undefined, 1_000));

  it("O01 lists by host name, then container name, then id", () => {
    put("beta", "2", "web");
    put("alpha", "3", "web");
    put("beta", "1", "db");
    put("alpha", "b1", "");
    put("alpha", "a1", "");
    assert.deepEqual(
      inventory
        .list(everything, undefined, 10)
        .map(({ host, container }) => `${host.hostName}/${container.name}/${container.id.slice(0, 2)}`),
      ["alpha//a1", "alpha//b1", "alpha/web/30", "beta/db/10", "beta/web/20"],
    );
  });

  it("O01 filters by host, state, name, image and label, and all of them must hold", () => {
    put("alpha", "1", "web-1", { image: "registry:5000/shop/web:1.2", labels: { tier: "front", a: "b=c" } });
    put("alpha", "2", "web-2", {
      image: "web@sha256:00",
      labels: { tier: "back" },
      state: ContainerState.EXITED,
    });
    put("beta", "3", "db", { image: "web", labels: { tier: "back" }, state: ContainerState.PAUSED });
    assert.deepEqual(list({ hosts: ["id-beta"] }), ["beta/db"]);
    assert.deepEqual(list({ hosts: ["beta", "alpha", "id-beta"] }), [
      "alpha/web-1",
      "alpha/web-2",
      "beta/db",
    ]);
    assert.deepEqual(list({ states: [ContainerState.EXITED, ContainerState.PAUSED] }), [
      "alpha/web-2",
      "beta/db",
    ]);
    assert.deepEqual(list({ nameContains: "eb-" }), ["alpha/web-1", "alpha/web-2"]);
    assert.deepEqual(list({ image: "registry:5000/shop/web" }), ["alpha/web-1"]);
    assert.deepEqual(list({ image: "registry:5000/shop/web:1.2" }), ["alpha/web-1"]);
    assert.deepEqual(list({ image: "web" }), ["alpha/web-2", "beta/db"]);
    assert.deepEqual(list({ image: "registry" }), []);
    assert.deepEqual(list({ labels: ["tier"] }), ["alpha/web-1", "alpha/web-2", "beta/db"]);
    assert.deepEqual(list({ labels: ["tier=back"] }), ["alpha/web-2", "beta/db"]);
    assert.deepEqual(list({ labels: ["tier", "a=b=c"] }), ["alpha/web-1"]);
    assert.deepEqual(list({ labels: ["toString"] }), []);
    assert.deepEqual(list({ labels: ["tier=back"], states: [ContainerState.EXITED] }), ["alpha/web-2"]);
  });

  it("O01 a filter with an unknown host is an error that says what may have been meant", () => {
    assert.throws(
      () => inventory.list({ ...everything, hosts: ["alpah"] }, undefined, 10),
      (error) =>
        error instanceof FleetError &&
        error.reason === "HOST_NOT_FOUND" &&
        error.metadata["close_names"] === "alpha" &&
        /did you mean "alpha"\?/.test(error.message),
    );
    assert.throws(
      () => inventory.requireHost("quite-another"),
      (error) => error instanceof FleetError && error.metadata["close_names"] === undefined,
    );
  });

  it("O01 pages hold each container that stays exactly once and in order, whatever comes and goes between them", () => {
    fc.assert(
      fc.property(
        anyFleet,
        fc.integer({ min: 1, max: 5 }),
        fc.array(anyFleet, { maxLength: 6 }),
        (fleet, size, visits) => {
          inventory = new FleetInventory();
          const stay = new Set(fleet.map(keyOf));
          const settled = new Set(fleet.map(({ host, id }) => `${host}/${id}`));
          fleet.forEach((place) => addPlace(inventory, place));
          const read: LocatedContainer[] = [];
          let after: FleetPosition | undefined;
          for (let page = 0; ; page += 1) {
            const found = inventory.list(everything, after, size);
            read.push(...found);
            if (found.length < size) {
              break;
            }
            after = positionOf(found.at(-1)!);
            // Visitors come and go, the last one that was read among them; those of the fleet change only in place.
            for (const place of visits[page] ?? []) {
              if (settled.has(`${place.host}/${place.id}`)) {
                addPlace(inventory, place, ContainerState.EXITED);
              } else {
                addPlace(inventory, place);
                addPlace(inventory, { ...place, id: `f${place.id}` });
                inventory.apply(place.host, gone(idOf(place.id)));
              }
            }
          }
          const keys = read.map(
            ({ host, container }) => `${host.hostName}/${container.name}/${container.id}`,
          );
          assert.deepEqual(keys, [...new Set(keys)].toSorted());
          assert.deepEqual(
            [...stay].filter((key) => !keys.includes(key)),
            [],
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it("O01 a page goes on behind a container and a host that are gone", () => {
    put("alpha", "1", "a");
    put("beta", "2", "b");
    put("beta", "3", "c");
    put("gamma", "4", "d");
    const after = positionOf(inventory.list(everything, undefined, 2)[1]!);
    inventory.apply("id-beta", gone(idOf("2")));
    assert.deepEqual(labelsOf(inventory.list(everything, after, 10)), ["beta/c", "gamma/d"]);
    inventory.removeHost("id-beta");
    assert.deepEqual(labelsOf(inventory.list(everything, after, 10)), ["gamma/d"]);
    assert.deepEqual(labelsOf(inventory.list({ ...everything, hosts: ["alpha"] }, after, 10)), []);
  });

  it("O07 finds by full id, by name and by prefix, in this order", () => {
    put("alpha", "abc", "one");
    put("alpha", "def", "abc");
    put("alpha", "a99", idOf("def"));
    assert.equal(inventory.resolve(idOf("abc"), "").containerId, idOf("abc"));
    assert.equal(inventory.resolve("abc", "").containerId, idOf("def"));
    assert.equal(inventory.resolve(idOf("def"), "").containerId, idOf("def"));
    assert.equal(inventory.resolve("de", "").containerId, idOf("def"));
    assert.equal(inventory.resolve("/one", "").containerId, idOf("abc"));
    assert.equal(inventory.resolve("abc000000000", "alpha").containerId, idOf("abc"));
    assert.equal(inventory.resolve("abc0000000000", "").containerId, idOf("abc"));
    assert.throws(() => inventory.resolve("abc0000000001", ""), { reason: "CONTAINER_NOT_FOUND" });
  });

  it("O07 an ambiguous prefix is an error that lists the candidates", () => {
    put("alpha", "ab1", "one");
    put("alpha", "ab2", "two");
    for (const host of ["", "alpha"]) {
      assert.throws(() => inventory.resolve("ab", host), {
        reason: "CONTAINER_AMBIGUOUS",
        metadata: {
          container: "ab",
          candidates: "alpha/one (ab1000000000), alpha/two (ab2000000000)",
          candidate_count: "2",
        },
      });
    }
  });

  it("O07 one name on several hosts is ambiguous until a host is named", () => {
    put("alpha", "1", "web");
    put("beta", "2", "web");
    assert.throws(
      () => inventory.resolve("web", ""),
      (error) =>
        error instanceof FleetError &&
        error.reason === "CONTAINER_AMBIGUOUS" &&
        error.metadata["candidates"] === "alpha/web (100000000000), beta/web (200000000000)",
    );
    assert.equal(inventory.resolve("web", "beta").containerId, idOf("2"));
    assert.equal(inventory.resolve("web", "id-alpha").host.hostName, "alpha");
    inventory.removeHost("id-alpha");
    assert.equal(inventory.resolve("web", "").containerId, idOf("2"));
  });

  it("O07 many candidates are counted, and only some of them listed", () => {
    for (let index = 10; index < 40; index += 1) {
      put("alpha", `c${index}`, `job-${index}`);
    }
    assert.throws(
      () => inventory.resolve("c", ""),
      (error) =>
        error instanceof FleetError &&
        error.metadata["candidate_count"] === "30" &&
        error.metadata["candidates"]?.split(", ").length === 10 &&
        error.message.includes("and 20 more"),
    );
  });

  it("O07 what a named host is not known to have is left to its engine, and without a host it is not found", () => {
    assert.deepEqual(inventory.resolve("fresh", "alpha"), {
      host: inventory.host("alpha"),
      containerId: undefined,
    });
    assert.throws(() => inventory.resolve("fresh", ""), { reason: "CONTAINER_NOT_FOUND" });
    assert.throws(() => inventory.resolve("fresh", "delta"), { reason: "HOST_NOT_FOUND" });
  });

  it("O07 a renamed container is found by its new name only", () => {
    put("alpha", "1", "before");
    put("alpha", "1", "after");
    assert.equal(inventory.resolve("after", "").containerId, idOf("1"));
    assert.throws(() => inventory.resolve("before", ""), { reason: "CONTAINER_NOT_FOUND" });
  });

  it("O18 a host is known by its id before its name, and by its name alone when it is renamed", () => {
    inventory.setHost({ hostId: "alpha", hostName: "odd", agentId: "agent-odd" });
    assert.equal(inventory.host("alpha")?.hostName, "odd");
    inventory.setHost({ hostId: "id-beta", hostName: "bravo", agentId: "agent-beta" });
    assert.equal(inventory.host("beta"), undefined);
    assert.equal(inventory.host("bravo")?.hostId, "id-beta");
    put("beta", "1", "web");
    const session = { hostId: "id-beta", hostName: "bravo", agentId: "another", address: "127.0.0.1" };
    inventory.setHost(session);
    assert.deepEqual(inventory.host("bravo"), {
      hostId: "id-beta",
      hostName: "bravo",
      agentId: "another",
      online: false,
      engineAvailable: false,
      containerCount: 1,
      runningContainerCount: 1,
      labels: {},
    });
    assert.deepEqual(
      inventory.hosts().map(({ hostName }) => hostName),
      ["alpha", "bravo", "gamma", "odd"],
    );
  });
});

interface Place {
  readonly host: string;
  readonly name: string;
  readonly id: string;
}

const anyFleet = fc.uniqueArray(
  fc.record({
    host: fc.constantFrom("h1", "h2", "h3", "h4"),
    name: fc.constantFrom("a", "b", "c", "d", "e", "é"),
    id: fc.constantFrom("1", "2", "3", "4", "5", "6", "7", "8", "9"),
  }),
  { maxLength: 25, selector: ({ host, id }) => `${host}/${id}` },
);

function keyOf({ host, name, id }: Place): string {
  return `${host}/${name}/${idOf(id)}`;
}

function addPlace(
  inventory: FleetInventory,
  { host, name, id }: Place,
  state = ContainerState.RUNNING,
): void {
  inventory.setHost({ hostId: host, hostName: host, agentId: `agent-${host}` });
  const known = inventory.container(host, idOf(id));
  // One id has one name here: a visitor with the id of somebody who stays is that one.
  inventory.apply(host, seen({ id: idOf(id), name: known?.name ?? name, state }));
}

function positionOf({ host, container }: LocatedContainer): FleetPosition {
  return {
    hostName: host.hostName,
    hostId: host.hostId,
    containerName: container.name,
    containerId: container.id,
  };
}
