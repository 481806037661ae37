import assert from "node:assert/strict";
import { openEngine } from "../../src/agent/engine/open-engine.ts";
import type { Engine } from "../../src/agent/engine/engine.ts";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { AgentHarness } from "../support/agent-harness.ts";
import { docker, removeContainers, requireDocker, runContainer, testLabel } from "../support/docker.ts";
import type { FakeSession } from "../support/fake-control-plane.ts";

async function runByHand(labels: Record<string, string> = {}): Promise<string> {
  const create = { Labels: { [testLabel]: "agent", ...labels } };
  return await runContainer({ subject: "agent", create });
}

describe("an agent on a real Docker Engine", () => {
  let harness: AgentHarness | undefined;
  let engine: Engine | undefined;
  let session: FakeSession;

  beforeEach(async function () {
    await requireDocker(this);
    harness = new AgentHarness();
    engine = await openEngine({
      kind: "docker",
      dockerHost: "unix:///var/run/docker.sock",
      clock: systemClock,
      logger: harness.logger,
      signal: neverAborted,
    });
    const plane = await harness.controlPlane();
    await harness.agent({ server: plane.address, engine });
    session = await plane.session();
    await session.until("the snapshot", () =>
      session.all("inventory").at(-1)?.update.case === undefined ? undefined : true,
    );
  });
  afterEach(async () => {
    // Without Docker nothing was begun, and there is nobody to ask what is left.
    if (harness === undefined) return;
    await harness.close();
    await engine?.close();
    await removeContainers("agent");
  });

  it("O02 tells of a container started by hand within a second, and stops it when told to", async () => {
    const id = await runByHand();
    const startedMs = performance.now();
    const latest = () =>
      session
        .all("inventory")
        .flatMap(({ update }) =>
          update.case === "container" && update.value.id === id ? [update.value] : [],
        )
        .at(-1);
    await session.until("the container", () => latest()?.state === ContainerState.RUNNING || undefined);
    assert.ok(performance.now() - startedMs < 1000);

    const gracePeriod = { seconds: 0n, nanos: 0 };
    const stop = session.command({ case: "stopContainer", value: { container: id, gracePeriod } });
    const { end } = await session.result(stop);
    assert.equal(end.case === "outcome" && end.value.changed, true);
    assert.equal((await docker.getContainer(id).inspect()).State.Running, false);
    await session.until("the end", () => latest()?.state === ContainerState.EXITED || undefined);
  });

  it("O10 leaves a protected container alone", async () => {
    const id = await runByHand({ "dev.fairlead.protected": "true" });
    const kill = session.command({ case: "removeContainer", value: { container: id, force: true } });
    const { end } = await session.result(kill);
    assert.equal(end.case === "failure" && end.value.reason, "PROTECTED_CONTAINER");
    assert.equal((await docker.getContainer(id).inspect()).State.Running, true);
  });
});
