import assert from "node:assert/strict";
import { readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openEngine } from "../../src/agent/engine/open-engine.ts";
import type { Engine } from "../../src/agent/engine/engine.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { AgentHarness } from "../support/agent-harness.ts";
import {
  docker,
  removeContainers,
  requireDocker,
  runContainer,
  testImage,
  testLabel,
  uniqueName,
} from "../support/docker.ts";
import type { FakeSession } from "../support/fake-control-plane.ts";

const subject = `policy-${process.pid}`;

const policy = `containers: { except_labels: [com.example.critical] }
create: { privileged: deny, host_network: deny, bind_mounts: deny }
`;

describe("docker: the policy of a host", () => {
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
    const dataDir = await harness.folder();
    await writeFile(join(dataDir, "policy.yaml"), policy);
    const plane = await harness.controlPlane();
    await harness.agent({ server: plane.address, engine, dataDir });
    session = await plane.session();
  });
  afterEach(async () => {
    // Without Docker nothing was begun, and there is nobody to ask what is left.
    if (harness === undefined) return;
    await harness.close();
    await engine?.close();
    await removeContainers(subject);
  });

  async function end(operation: Parameters<FakeSession["command"]>[0]) {
    const result = await session.result(session.command(operation));
    assert.ok(result.end.case !== undefined);
    return result.end;
  }

  it("policy: refuses a privileged create, which the engine never hears of, and lets a harmless one through", async () => {
    const name = uniqueName(subject);
    const spec = {
      image: await testImage(),
      command: ["sleep", "600"],
      labels: { [testLabel]: subject },
    };
    const refused = [
      [{ ...spec, privileged: true }, "create.privileged"],
      [{ ...spec, networks: ["host"] as string[] }, "create.host_network"],
      [{ ...spec, mounts: [{ type: 1, source: "/etc", target: "/host" }] }, "create.bind_mounts"],
    ] satisfies [object, string][];
    for (const [wanted, rule] of refused) {
      const failure = await end({ case: "createContainer", value: { name, spec: wanted, start: true } });
      assert.ok(failure.case === "failure", rule);
      assert.deepEqual([failure.value.reason, failure.value.metadata.rule], ["DENIED_BY_HOST_POLICY", rule]);
      await assert.rejects(docker.getContainer(name).inspect(), { statusCode: 404 });
    }
    const { case: kind } = await end({ case: "createContainer", value: { name, spec } });
    assert.equal(kind, "outcome");
  });

  it("policy: the host's network is not to be had by its id either, which the engine sees to", async () => {
    const networks = await docker.listNetworks();
    const id = networks.find(({ Name }) => Name === "host")?.Id ?? "";
    for (const network of [id, id.slice(0, 12)]) {
      const name = uniqueName(subject);
      const spec = {
        image: await testImage(),
        command: ["ls", "-l", "/proc/self/ns/net"],
        labels: { [testLabel]: subject },
        networks: [network],
      };
      const { case: kind } = await end({ case: "createContainer", value: { name, spec, start: true } });
      if (kind === "failure") continue;
      const container = docker.getContainer(name);
      await container.wait();
      const seen = (await container.logs({ stdout: true })).toString("latin1");
      assert.match(seen, /net:\[\d+\]/);
      assert.ok(!seen.includes(await readlink("/proc/self/ns/net")), seen);
    }
  });

  it("policy: leaves a labelled container alone, and does not look into it", async () => {
    const create = { Labels: { [testLabel]: subject, "com.example.critical": "" } };
    const name = uniqueName(subject);
    const container = await runContainer({ subject, name, create });
    for (const reference of [container, container.slice(0, 12), name]) {
      for (const operation of ["removeContainer", "killContainer", "inspectContainer"] as const) {
        const value = { container: reference, ...(operation === "removeContainer" ? { force: true } : {}) };
        const failure = await end({ case: operation, value });
        assert.ok(failure.case === "failure", operation);
        assert.deepEqual(
          [failure.value.reason, failure.value.metadata.rule],
          ["DENIED_BY_HOST_POLICY", "containers.except_labels"],
        );
      }
    }
    assert.equal((await docker.getContainer(container).inspect()).State.Running, true);
  });
});
