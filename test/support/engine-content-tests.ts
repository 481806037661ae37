import assert from "node:assert/strict";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import {
  MountSpec_Type,
  PortBinding_Protocol,
  RestartPolicy_Mode,
} from "../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { type EngineKit, settled } from "./engine-kit.ts";

/** What an engine tells of itself and its containers. */
export function contentTests(kit: EngineKit): void {
  it("O20 facts name the engine, and whether it is simulated", async () => {
    const facts = await kit.engine.facts(neverAborted);
    assert.match(facts.engineId, /^[A-Za-z0-9][A-Za-z0-9:._-]*$/);
    assert.equal(facts.simulated, kit.engine.kind === "simulated");
    assert.equal((await kit.engine.facts(neverAborted)).engineId, facts.engineId);
    assert.ok((facts.cpuCount ?? 0) > 0 && (facts.memoryBytes ?? 0n) > 0n && facts.hostname);
  });

  it("O08 a container is as its whole specification says", async () => {
    const { id, name } = await kit.run({
      command: ["600"],
      entrypoint: ["sleep"],
      environment: { COLOUR: "blue=green", EMPTY: "" },
      ports: [
        { containerPort: 8080 },
        { containerPort: 53, protocol: PortBinding_Protocol.UDP, hostIp: "127.0.0.1" },
      ],
      mounts: [
        { type: MountSpec_Type.BIND, source: "/tmp", target: "/from-host", readOnly: true },
        { type: MountSpec_Type.VOLUME, target: "/anonymous" },
        { type: MountSpec_Type.TMPFS, target: "/quick" },
      ],
      networks: ["bridge", kit.harness.network],
      restartPolicy: { mode: RestartPolicy_Mode.ON_FAILURE, maxRetries: 3 },
      limits: { memoryBytes: 64n * 1024n * 1024n, milliCpus: 500, pids: 50, cpuShares: 512 },
      labels: { "com.example.team": "späti ☕" },
      healthCheck: { command: ["true"], interval: { seconds: 600n }, retries: 2 },
      hostname: "inner",
      workingDirectory: "/tmp",
      user: "1000:1000",
      tty: true,
      stdinOpen: true,
      init: true,
      stopSignal: "SIGINT",
      stopGracePeriod: { seconds: 1n, nanos: 500_000_000 },
      readOnly: true,
    });
    const { container, engineJson } = await kit.engine.inspectContainer(id, neverAborted);
    assert.equal(container.name, name);
    assert.equal(container.image, kit.harness.image);
    assert.match(container.imageId ?? "", /^sha256:[0-9a-f]{64}$/);
    assert.equal(container.command, "sleep 600");
    assert.equal(container.labels?.["com.example.team"], "späti ☕");
    // Where no host port is asked for, Docker may choose one for each family of addresses.
    const ports = container.ports?.map(
      ({ containerPort, hostIp, protocol }) => `${containerPort} ${hostIp} ${protocol}`,
    );
    assert.deepEqual([...new Set(ports)], ["53 127.0.0.1 udp", "8080  tcp"]);
    assert.ok(container.ports?.every(({ hostPort = 0 }) => hostPort > 0));
    assert.deepEqual(
      container.mounts?.map(({ type, target, readOnly }) => [type, target, readOnly]),
      [
        ["volume", "/anonymous", false],
        ["bind", "/from-host", true],
        ["tmpfs", "/quick", false],
      ],
    );
    assert.equal(container.mounts?.[1]?.source, "/tmp");
    assert.deepEqual(
      container.networks?.map(({ name }) => name).toSorted(),
      ["bridge", kit.harness.network].toSorted(),
    );
    assert.ok(container.networks?.every(({ ipAddress = "" }) => /^\d+\.\d+\.\d+\.\d+$/.test(ipAddress)));
    assertSettings(JSON.parse(engineJson) as EngineJson);
  });

  it("O09 inspect gives the common part and the engine's whole JSON", async () => {
    const { id, name } = await kit.run();
    const { container, engineJson } = await kit.engine.inspectContainer(name, neverAborted);
    const { observedTime: _, ...common } = container;
    const { observedTime, ...alone } = await kit.engine.getContainer(id, neverAborted);
    assert.deepEqual(common, alone);
    assert.ok(observedTime !== undefined);
    const json = JSON.parse(engineJson) as Record<string, unknown>;
    assert.equal(json["Id"], id);
    assert.equal(json["Name"], `/${name}`);
    for (const part of ["State", "Config", "HostConfig", "NetworkSettings", "Mounts"]) {
      assert.ok(part in json, part);
    }
  });

  it("O20 the list has every container, each as it would be told alone", async () => {
    const ids = [(await kit.make()).id, (await kit.run()).id, (await kit.run({ command: ["false"] })).id];
    await settled(async () => (await kit.stateOf(ids[2] as string)) === ContainerState.EXITED);
    const list = await kit.engine.listContainers(neverAborted);
    for (const id of ids) {
      const { observedTime: _, ...listed } = list.find((container) => container.id === id) ?? {
        id: "",
        name: "",
      };
      const { observedTime: __, ...alone } = await kit.engine.getContainer(id, neverAborted);
      assert.deepEqual(listed, alone);
    }
    assert.equal(list.find(({ id }) => id === ids[2])?.exitCode, 1);
  });

  it("O20 a list while containers come and go leaves out what is gone and fails for none", async () => {
    const stays = (await kit.make()).id;
    const churning = { on: true };
    const churn = (async () => {
      while (churning.on) {
        await kit.remove((await kit.make()).id);
      }
    })();
    try {
      for (let round = 0; round < 5; round += 1) {
        assert.ok((await kit.engine.listContainers(neverAborted)).some(({ id }) => id === stays));
      }
    } finally {
      churning.on = false;
      await churn;
    }
  });
}

interface EngineJson {
  readonly Config: Readonly<Record<string, unknown>>;
  readonly HostConfig: Readonly<Record<string, unknown>>;
}

/** The settings that only the engine's own JSON tells. */
function assertSettings({ Config: config, HostConfig: host }: EngineJson): void {
  const environment = config["Env"] as string[];
  assert.ok(environment.includes("COLOUR=blue=green") && environment.includes("EMPTY="));
  const expected = {
    Hostname: "inner",
    WorkingDir: "/tmp",
    User: "1000:1000",
    Tty: true,
    OpenStdin: true,
    StopSignal: "SIGINT",
    StopTimeout: 2,
  };
  for (const [key, value] of Object.entries(expected)) {
    assert.deepEqual(config[key], value, key);
  }
  const health = config["Healthcheck"] as Readonly<Record<string, unknown>>;
  assert.deepEqual([health["Test"], health["Interval"], health["Retries"]], [["CMD", "true"], 600e9, 2]);
  const expectedOfHost = {
    RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
    Memory: 67_108_864,
    NanoCpus: 500_000_000,
    PidsLimit: 50,
    CpuShares: 512,
    AutoRemove: false,
    Init: true,
    ReadonlyRootfs: true,
    Privileged: false,
    NetworkMode: "bridge",
  };
  for (const [key, value] of Object.entries(expectedOfHost)) {
    assert.deepEqual(host[key], value, key);
  }
}
