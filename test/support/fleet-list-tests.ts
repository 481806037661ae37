import assert from "node:assert/strict";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Container, ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { eventually } from "./control-plane-harness.ts";
import { rejection } from "./dispatching.ts";
import { patienceMs } from "./fleet.ts";
import { fleetImage } from "./fleet-engine.ts";
import { type FleetKit, main, other } from "./fleet-kit.ts";

/** What the fleet knows of its containers, and how they are named. */
export function listTests(kit: FleetKit): void {
  it("O01 lists both hosts by every filter, in order, and page by page", async () => {
    const { fleet } = kit;
    const labels = kit.freshLabels();
    const [run = ""] = Object.values(labels).slice(-1);
    await Promise.all([
      fleet.make(main, `c-${run}`, labels),
      fleet.make(main, `a-${run}`, { ...labels, tier: "back" }, { start: false }),
      fleet.make(main, `b-${run}`, labels),
      fleet.make(other, `a-${run}`, labels),
      fleet.make(other, `d-${run}`, { ...labels, tier: "back" }, { start: false }),
    ]);
    const inOrder = ["main/a", "main/b", "main/c", "other/a", "other/d"];
    const whole = await eventually(
      async () => {
        const found = await fleet.list(labels);
        const running = found.filter(({ state }) => state === ContainerState.RUNNING);
        return found.length === inOrder.length && running.length === 3 ? found : undefined;
      },
      "all five are there",
      patienceMs,
    );
    assert.deepEqual(shortNames(whole), inOrder);

    const label = `dev.fairlead.run=${run}`;
    const filters = [
      [{ hosts: [other] }, ["other/a", "other/d"]],
      [{ states: [ContainerState.CREATED] }, ["main/a", "other/d"]],
      [{ nameContains: `a-${run}` }, ["main/a", "other/a"]],
      [{ image: fleetImage }, inOrder],
      [{ image: "nginx:1.29" }, []],
      [{ labels: [label, "tier"] }, ["main/a", "other/d"]],
      [{ hosts: [main], states: [ContainerState.RUNNING] }, ["main/b", "main/c"]],
    ] as const;
    for (const [filter, expected] of filters) {
      const { containers } = await fleet.api.containers.listContainers({
        labels: [label],
        ...filter,
      } as never);
      assert.deepEqual(shortNames(containers), expected, JSON.stringify(filter));
    }

    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = await fleet.api.containers.listContainers({ labels: [label], pageSize: 2, pageToken });
      pages.push(shortNames(page.containers));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(pages, [inOrder.slice(0, 2), inOrder.slice(2, 4), inOrder.slice(4)]);
  });

  it("O02 what somebody starts and removes by hand is so in the fleet within a second", async () => {
    const { fleet, engine } = kit;
    const id = await engine.byHand.create(engine.uniqueName());
    await engine.byHand.start(id);
    const started = performance.now();
    await fleet.untilContainer(id, ({ state }) => state === ContainerState.RUNNING);
    assert.ok(performance.now() - started < 1_000, "it took longer to be seen");
    await engine.byHand.remove(id);
    const removed = performance.now();
    await eventually(
      async () => (await fleet.list(engine.labels)).every((container) => container.id !== id),
      "it is gone",
      patienceMs,
    );
    assert.ok(performance.now() - removed < 1_000, "it took longer to be missed");
  });

  it("O07 a full id, a prefix and a name mean the container; what is ambiguous lists its candidates", async () => {
    const { fleet } = kit;
    const { id, name } = await kit.make({ start: false });
    for (const container of [id, id.slice(0, 12), name]) {
      const inspected = await fleet.api.containers.inspectContainer({ container });
      assert.equal(inspected.container?.id, id);
      await fleet.untilContainer(id, () => true);
      assert.equal((await fleet.api.containers.getContainer({ container })).container?.id, id);
    }
    const { containers } = await fleet.api.containers.listContainers({ hosts: [other], pageSize: 1_000 });
    const digits = containers.map((container) => container.id.slice(0, 1));
    const prefix = digits.find((digit, index) => digits.indexOf(digit) !== index) ?? "";
    const stop = fleet.api.containers.stopContainer({ container: prefix, host: other });
    const error = await rejection(stop, "CONTAINER_AMBIGUOUS");
    const candidates = containers.filter((container) => container.id.startsWith(prefix));
    assert.ok(candidates.length > 1);
    const listed = JSON.stringify(error.metadata);
    assert.ok(
      candidates.every(({ name: candidate }) => listed.includes(candidate)),
      listed,
    );
  });

  it("O09 inspect gives the typed part and the engine's whole JSON", async () => {
    const { fleet, engine } = kit;
    const { id, name } = await kit.make();
    const { container, engineJson } = await fleet.api.containers.inspectContainer({ container: id });
    const json = JSON.parse(engineJson);
    assert.deepEqual(
      [container?.name, container?.state, container?.image],
      [name, ContainerState.RUNNING, fleetImage],
    );
    assert.equal(container?.host?.name, main);
    assert.deepEqual([json.Id, json.Name, json.State.Running], [id, `/${name}`, true]);
    for (const [label, value] of Object.entries(engine.labels)) {
      assert.equal(container?.labels[label], value);
      assert.equal(json.Config.Labels[label], value);
    }
  });

  it("O20 every host tells its engine, and whether that is simulated", async () => {
    const { hosts } = await kit.fleet.api.hosts.listHosts({});
    const { engineId, hostname } = await kit.engine.engine.facts(AbortSignal.timeout(patienceMs));
    const isSimulated = kit.engine.engine.kind === "simulated";
    assert.deepEqual(
      hosts.map(({ name, facts }) => [name, facts?.simulated]),
      [
        [main, isSimulated],
        [other, true],
      ],
    );
    assert.deepEqual([hosts[0]?.facts?.engineId, hosts[0]?.facts?.hostname], [engineId, hostname]);
  });

  it("O22 a list says as of when it is, and each container as of when it was seen, on a host that is online", async () => {
    const before = Date.now();
    const { id } = await kit.make({ start: false });
    await kit.fleet.untilContainer(id, () => true);
    const { containers, asOfTime } = await kit.fleet.api.containers.listContainers({ pageSize: 1_000 });
    const container = containers.find((each) => each.id === id);
    assert.ok(asOfTime !== undefined && container?.observedTime !== undefined);
    assert.ok(timestampMs(container.observedTime) >= before);
    assert.ok(timestampMs(asOfTime) >= timestampMs(container.observedTime));
    assert.ok(containers.every(({ host }) => host?.online === true));
  });
}

function shortNames(containers: readonly Container[]): string[] {
  return containers.map(({ host, name }) => `${host?.name}/${name.slice(0, 1)}`);
}
