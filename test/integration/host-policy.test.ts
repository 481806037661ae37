import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { type RunningAgent, startAgent } from "../../src/agent/agent.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import type { Host } from "../../src/gen/fairlead/host/v1/host_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { fleetErrorFrom } from "../../src/rpc/connect-error.ts";
import { sleepingSpec } from "../support/agent-harness.ts";
import { eventually, type TestControlPlane, testControlPlane } from "../support/control-plane-harness.ts";
import { silentLogger } from "../support/silent-logger.ts";

const policy = `operations: { remove_container: deny }
containers: { except_labels: [com.example.critical] }
create: { privileged: deny, bind_mounts: [/srv/data] }
`;

async function refusedRule(call: Promise<unknown>): Promise<string | undefined> {
  const error: unknown = await call.then(
    () => assert.fail("it was not refused"),
    (refusal: unknown) => refusal,
  );
  assert.ok(error instanceof ConnectError && error.code === Code.PermissionDenied, String(error));
  const { reason, metadata } = fleetErrorFrom(error);
  assert.equal(reason, "DENIED_BY_HOST_POLICY");
  return metadata["rule"];
}

const digestOf = (text: string) => createHash("sha256").update(text).digest("hex");

describe("integration: a host whose owner sets bounds to the fleet", () => {
  let plane: TestControlPlane;
  let folder: string;
  let engine: SimulatedEngine;
  let agent: RunningAgent;

  const write = async (text: string) => {
    await writeFile(join(folder, "policy.new"), text);
    await rename(join(folder, "policy.new"), join(folder, "policy.yaml"));
  };
  const start = async (token?: string) => {
    const server = plane.agentsServer;
    const options = {
      server,
      dataDir: folder,
      engine,
      name: "edge",
      ownContainerId: "",
      logger: silentLogger,
    };
    agent = await startAgent({ ...options, random: () => 0, ...(token === undefined ? {} : { token }) });
    await agent.ready;
  };
  const host = async (): Promise<Host> => {
    const { host: found } = await plane.client(HostService).getHost({ host: "edge" });
    assert.ok(found !== undefined);
    return found;
  };

  beforeEach(async () => {
    plane = await testControlPlane();
    folder = await mkdtemp(join(tmpdir(), "fairlead-policy-"));
    engine = new SimulatedEngine({ clock: systemClock, engineId: "engine-edge" });
    for (const [name, labels] of Object.entries({ plain: {}, vital: { "com.example.critical": "yes" } })) {
      const id = await engine.createContainer(name, sleepingSpec(labels), neverAborted);
      await engine.startContainer(id, neverAborted);
    }
    await write(policy);
    await start(await plane.controlPlane.createToken("policy"));
    await eventually(async () => (await host()).containerCount === 2, "the containers");
  });
  afterEach(async () => {
    await agent.close();
    await plane[Symbol.asyncDispose]();
    await engine.close();
    await rm(folder, { recursive: true });
  });

  it("policy: callers are refused with the rule, and nothing was done", async () => {
    const containers = plane.client(ContainerService);
    const gracePeriod = { seconds: 0n, nanos: 0 };
    const spec = { image: "fairlead-test/busybox:latest", command: ["sleep", "60"] };
    const refused: Readonly<Record<string, () => Promise<unknown>>> = {
      "operations.remove_container": () => containers.removeContainer({ container: "plain", force: true }),
      "containers.except_labels": () => containers.stopContainer({ container: "vital", gracePeriod }),
      "create.privileged": () =>
        containers.createContainer({ host: "edge", spec: { ...spec, privileged: true } }),
      "create.bind_mounts": () =>
        containers.createContainer({
          host: "edge",
          spec: { ...spec, mounts: [{ type: 1, source: "/etc", target: "/host" }] },
        }),
    };
    for (const [rule, call] of Object.entries(refused)) assert.equal(await refusedRule(call()), rule);
    assert.equal(
      await refusedRule(containers.inspectContainer({ container: "vital" })),
      "containers.except_labels",
    );
    const left = await engine.listContainers(neverAborted);
    assert.deepEqual(Object.fromEntries(left.map(({ name, state }) => [name, state])), {
      plain: ContainerState.RUNNING,
      vital: ContainerState.RUNNING,
    });
    await containers.stopContainer({ container: "plain", gracePeriod });
  });

  it("policy: it is seen, follows its file, and stays to be seen when the host or the control plane went", async () => {
    const first = (await host()).policy;
    assert.deepEqual([first?.readOnly, first?.digest, first?.problem], [false, digestOf(policy), ""]);
    assert.ok(first?.summary.includes("operations.remove_container: deny"));

    await write("read_only: true\n");
    await eventually(async () => (await host()).policy?.readOnly, "the new policy");
    await write("read_only: perhaps\n");
    await eventually(async () => (await host()).policy?.problem, "what is wrong with it");
    const { hosts } = await plane.client(HostService).listHosts({});
    assert.equal(hosts[0]?.policy?.digest, digestOf("read_only: true\n"));
    assert.match(hosts[0]?.policy?.problem ?? "", /line 1: read_only must be true or false/);

    await agent.close();
    await eventually(async () => !(await host()).online, "that it is offline");
    await plane.restart();
    const offline = await host();
    assert.deepEqual([offline.online, offline.policy?.readOnly], [false, true]);

    await rm(join(folder, "policy.yaml"));
    await start();
    await eventually(async () => (await host()).online, "that it is back");
    assert.equal((await host()).policy, undefined);
  });
});
