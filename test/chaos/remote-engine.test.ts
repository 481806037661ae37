import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { neverAborted } from "../../src/resilience/signals.ts";
import { EngineHost, type EngineManners } from "../support/chaos/engine-host.ts";
import { RemoteEngine } from "../support/chaos/remote-engine.ts";
import { SeededRandom } from "../support/chaos/seeded-random.ts";
import { chaosSpec, chaosUpdate } from "../support/chaos/workload.ts";
import { describeEngine } from "../support/engine-conformance.ts";
import { refused } from "../support/engine-kit.ts";
import { execSpec } from "../support/engine-process-kit.ts";

const polite: EngineManners = { breakBefore: 0, breakAfter: 0, maxLatencyMs: 0 };
const network = "second-network";

async function served(manners: EngineManners) {
  const folder = await mkdtemp(join(tmpdir(), "fairlead-engine-"));
  const path = join(folder, "engine.sock");
  const host = new EngineHost({
    host: "host-1",
    path,
    random: new SeededRandom(2),
    manners,
    networks: [network],
  });
  await host.listen();
  const engine = new RemoteEngine({ path, incarnation: 3 });
  const dispose = async () => {
    await engine.close();
    await host.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { host, engine, dispose, [Symbol.asyncDispose]: dispose };
}

const makeHarness = async () => {
  const { engine, dispose } = await served(polite);
  let lastNumber = 0;
  return {
    engine,
    image: "fairlead-test/busybox:latest",
    network,
    labels: {},
    uniqueName: () => `remote-${(lastNumber += 1)}`,
    openStreams: () => 0,
    processesOf: async () => [],
    dispose,
  };
};
describeEngine("chaos: the engine behind a socket", makeHarness, { withoutStreams: true });

describe("the engine behind a socket", () => {
  it("C42 a change whose connection breaks is of unknown outcome, done or not", async () => {
    for (const [manners, executions] of [
      [{ ...polite, breakBefore: 1 }, 0],
      [{ ...polite, breakAfter: 1 }, 1],
    ] as const) {
      await using one = await served(manners);
      await refused(one.engine.createContainer("web", chaosSpec, neverAborted), "OUTCOME_UNKNOWN", "broke");
      assert.equal(one.host.executions.length, executions);
      assert.deepEqual(one.host.breakages, [{ host: "host-1", container: "web" }]);
    }
  });

  it("C42 what certainly did not arrive is ENGINE_UNAVAILABLE", async () => {
    await using one = await served(polite);
    const nowhere = new RemoteEngine({ path: `${one.host.path}-elsewhere`, incarnation: 1 });
    await refused(nowhere.startContainer("web", neverAborted), "ENGINE_UNAVAILABLE", "does not answer");
    await refused(nowhere.facts(neverAborted), "ENGINE_UNAVAILABLE", "does not answer");
  });

  it("counts what agents have done, with the process that asked, and nothing of the checker's own doing", async () => {
    await using one = await served(polite);
    const id = await one.host.engine.createContainer("web", chaosSpec, neverAborted);
    await one.engine.startContainer(id, neverAborted);
    await one.engine.updateContainer(id, chaosUpdate, neverAborted);
    const process = await one.engine.exec(id, execSpec(["echo", "hello"]), neverAborted);
    const [piece] = await Array.fromAsync(process.output);
    assert.deepEqual(
      [Buffer.from(piece?.data ?? []).toString(), await process.exitCode(neverAborted)],
      ["hello\n", 0],
    );
    const counted = one.host.executions.map(({ method, container, incarnation }) => [
      method,
      container,
      incarnation,
    ]);
    assert.deepEqual(counted, [
      ["start", id, 3],
      ["update", id, 3],
      ["exec", id, 3],
    ]);
    assert.equal((await one.host.look(id))?.limits?.memoryBytes, chaosUpdate.memoryBytes);
  });

  it("goes on with a change whose agent has hung up", async () => {
    await using one = await served({ ...polite, maxLatencyMs: 1_000 });
    const hangUp = new AbortController();
    const call = one.engine.createContainer("web", chaosSpec, hangUp.signal);
    setTimeout(() => hangUp.abort(new Error("gone")), 10);
    await assert.rejects(call);
    const deadline = performance.now() + 5_000;
    while ((await one.host.look("web")) === undefined && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.equal(one.host.executions.length, 1);
  });
});
