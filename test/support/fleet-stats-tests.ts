import assert from "node:assert/strict";
import { FleetError } from "../../src/domain/errors.ts";
import type { StreamStatsResponse } from "../../src/gen/fairlead/container/v1/stats_service_pb.js";
import { eventually } from "./control-plane-harness.ts";
import { noGrace, patienceMs } from "./fleet.ts";
import { type FleetKit, main, other } from "./fleet-kit.ts";

/** Figures, through the API. */
export function statsTests(kit: FleetKit): void {
  const labelled = async () => {
    const labels = kit.freshLabels();
    const selector = { labels: Object.entries(labels).map(([key, value]) => `${key}=${value}`) };
    const make = (more = {}) => kit.fleet.make(main, kit.engine.uniqueName(), labels, more);
    return { selector, make };
  };
  const busy = { command: ["sh", "-c", "while true; do :; done"] };

  it("O14 measures containers and their hosts once, and tells of those that do not run when asked", async () => {
    const { selector, make } = await labelled();
    const running = await make(busy);
    const stopped = await make({ start: false });
    const once = await kit.fleet.api.stats.getStats({ selector, includeHosts: true });
    assert.deepEqual(once.failures, []);
    assert.deepEqual(
      once.containers.map(({ containerId, containerName, host }) => [containerId, containerName, host?.name]),
      [[running.id, running.name, main]],
    );
    const [sample] = once.containers;
    assert.ok((sample?.stats?.cpuPercent ?? 0) > 0 && (sample?.stats?.memoryBytes ?? 0n) > 0n);
    assert.deepEqual(
      once.hosts.map(({ host }) => host?.name),
      [main],
    );
    assert.ok((once.hosts[0]?.stats?.memoryTotalBytes ?? 0n) > 0n);
    const all = await kit.fleet.api.stats.getStats({ selector: { ...selector, includeStopped: true } });
    const idle = all.containers.find(({ containerId }) => containerId === stopped.id);
    assert.equal(idle?.stats?.pids, 0);
    assert.equal(all.containers.length, 2);
    await kit.fleet.api.containers.killContainer({ container: running.id });
  });

  it("O14 measures every container that runs, of all hosts, when nothing is said", async () => {
    const { make } = await labelled();
    const { id } = await make();
    const { containers, failures } = await kit.fleet.api.stats.getStats({});
    assert.deepEqual(failures, []);
    const hosts = new Set(containers.map(({ host }) => host?.name));
    assert.deepEqual(hosts, new Set([main, other]));
    assert.ok(containers.some(({ containerId }) => containerId === id));
  });

  it("O14 goes on measuring: containers that start come in, those that end go, and the last one's end is told", async () => {
    const { selector, make } = await labelled();
    const first = await make();
    const reading = new AbortController();
    const seen: (readonly string[])[] = [];
    const following = (async () => {
      const stream = kit.fleet.api.stats.streamStats({ selector }, { signal: reading.signal });
      for await (const response of stream) {
        if (response.source !== undefined) seen.push(idsOf(response));
      }
    })().catch(() => undefined);
    const until = (ids: readonly string[]) =>
      eventually(
        () => JSON.stringify(seen.at(-1)) === JSON.stringify(ids.toSorted()),
        `${ids.length} are measured`,
        patienceMs,
      );
    await until([first.id]);
    const second = await make();
    await until([first.id, second.id]);
    await kit.fleet.api.containers.stopContainer({ container: first.id, gracePeriod: noGrace });
    await until([second.id]);
    await kit.fleet.api.containers.removeContainer({ container: second.id, force: true });
    await until([]);
    await kit.fleet.api.containers.removeContainer({ container: first.id, force: true });
    reading.abort();
    await following;
    const { dataStreams } = kit.fleet.plane.controlPlane;
    await eventually(() => dataStreams.size === 0, "no stream is left", patienceMs);
  });

  it("O14 a host that cannot be asked is named, and takes nothing from the others", async () => {
    const { make } = await labelled();
    const { id } = await make();
    await kit.fleet.stopAgent(other);
    let isBack = false;
    const reading = new AbortController();
    try {
      const { containers, failures } = await kit.fleet.api.stats.getStats({});
      assert.deepEqual(
        failures.map(({ host, reason }) => [host?.name, reason]),
        [[other, "AGENT_OFFLINE"]],
      );
      assert.ok(containers.some(({ containerId }) => containerId === id));
      const told: string[] = [];
      const call = { signal: reading.signal };
      for await (const { failure, containers: own, source } of kit.fleet.api.stats.streamStats({}, call)) {
        if (failure !== undefined) {
          told.push(failure.reason);
          isBack = true;
          await kit.fleet.restartAgent(other);
        }
        if (source?.name === other && own.length > 0) break;
      }
      assert.deepEqual(told, ["AGENT_OFFLINE"]);
    } finally {
      // Leaving the loop alone does not end the call.
      reading.abort();
      if (!isBack) await kit.fleet.restartAgent(other);
    }
  });

  it("O14 a host that nobody knows is refused", async () => {
    const request = { selector: { hosts: ["no-such-host"] } };
    await assert.rejects(kit.fleet.api.stats.getStats(request), isRefused);
    await assert.rejects(Array.fromAsync(kit.fleet.api.stats.streamStats(request)), isRefused);
  });
}

function isRefused(error: unknown): boolean {
  return error instanceof FleetError && error.reason === "HOST_NOT_FOUND";
}

function idsOf({ containers }: StreamStatsResponse): string[] {
  return containers.map(({ containerId }) => containerId).toSorted();
}
