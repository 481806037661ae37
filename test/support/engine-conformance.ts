import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Engine } from "../../src/agent/engine/engine.ts";
import { FleetError, type Reason } from "../../src/domain/errors.ts";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import {
  ContainerSpecSchema,
  MountSpec_Type,
  PortBinding_Protocol,
  RestartPolicy_Mode,
} from "../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { EngineWatcher } from "./engine-watcher.ts";

/** An engine to try, and what must be known of its surroundings. */
export interface EngineHarness {
  readonly engine: Engine;
  /** An image without a command of its own, with a shell. */
  readonly image: string;
  /** A network besides the engine's own ones. */
  readonly network: string;
  /** The labels that every container must have. */
  readonly labels: Readonly<Record<string, string>>;
  /** A name that nobody has. */
  uniqueName(): string;
  /** Removes all containers of this harness; fails when something is left. */
  dispose(): Promise<void>;
}

/** The suite that every engine passes: what `Engine` promises, on whatever `makeHarness` gives. */
export function describeEngine(
  name: string,
  makeHarness: (context: Mocha.Context) => Promise<EngineHarness>,
): void {
  describe(name, function () {
    this.timeout(60_000);
    this.slow(5_000);
    let harness: EngineHarness;
    let engine: Engine;
    const never = neverAborted;

    before(async function () {
      harness = await makeHarness(this);
      engine = harness.engine;
    });
    after(async () => {
      await harness?.dispose();
    });

    async function make(
      init: Partial<MessageInitShape<typeof ContainerSpecSchema>> = {},
      name = harness.uniqueName(),
    ): Promise<{ id: string; name: string }> {
      const spec = create(ContainerSpecSchema, {
        image: harness.image,
        command: ["sleep", "600"],
        ...init,
        labels: { ...harness.labels, ...init.labels },
      } as MessageInitShape<typeof ContainerSpecSchema>);
      return { id: await engine.createContainer(name, spec, never), name };
    }

    async function run(
      init?: Partial<MessageInitShape<typeof ContainerSpecSchema>>,
    ): Promise<{ id: string; name: string }> {
      const made = await make(init);
      await engine.startContainer(made.id, never);
      return made;
    }

    async function stateOf(container: string): Promise<ContainerState | undefined> {
      return (await engine.getContainer(container, never)).state;
    }

    const remove = (container: string) =>
      engine.removeContainer(container, { force: true, removeVolumes: true }, never);

    it("O20 facts name the engine, and whether it is simulated", async () => {
      const facts = await engine.facts(never);
      assert.match(facts.engineId, /^[A-Za-z0-9][A-Za-z0-9:._-]*$/);
      assert.equal(facts.simulated, engine.kind === "simulated");
      assert.equal((await engine.facts(never)).engineId, facts.engineId);
      assert.ok((facts.cpuCount ?? 0) > 0 && (facts.memoryBytes ?? 0n) > 0n && facts.hostname);
    });

    it("O04 a container is created, started, stopped, and removed", async () => {
      const { id, name } = await make();
      assert.match(id, /^[0-9a-f]{64}$/);
      const created = await engine.getContainer(id, never);
      assert.equal(created.name, name);
      assert.equal(created.state, ContainerState.CREATED);
      assert.equal(created.startedTime, undefined);
      assert.deepEqual(await engine.startContainer(id, never), { changed: true });
      const running = await engine.getContainer(id, never);
      assert.equal(running.state, ContainerState.RUNNING);
      assert.ok(running.startedTime !== undefined && running.createdTime !== undefined);
      assert.equal(running.finishedTime, undefined);
      assert.deepEqual(await engine.stopContainer(id, 1000, never), { changed: true });
      const stopped = await engine.getContainer(id, never);
      assert.equal(stopped.state, ContainerState.EXITED);
      assert.equal(stopped.exitCode, 137, "the first process ignores SIGTERM and is killed");
      assert.ok(stopped.finishedTime !== undefined);
      const plainRemoval = { force: false, removeVolumes: false };
      assert.deepEqual(await engine.removeContainer(id, plainRemoval, never), { changed: true });
      await refused(engine.getContainer(id, never), "CONTAINER_NOT_FOUND", id);
    });

    it("O04 the grace of a stop is passed on: a process that ends in time gives its own exit code", async () => {
      const { id } = await run({
        command: ["sh", "-c", "trap 'exit 7' TERM; while true; do sleep 0.1; done"],
      });
      // The shell needs a moment until it has set its trap.
      await new Promise((resolve) => setTimeout(resolve, 300));
      await engine.stopContainer(id, 20_000, never);
      assert.equal((await engine.getContainer(id, never)).exitCode, 7);
    });

    it("O04 no grace at all kills at once, and a container's own grace counts when none is given", async () => {
      const { id } = await run({ stopGracePeriod: { seconds: 1n } });
      const began = performance.now();
      await engine.stopContainer(id, 0, never);
      await engine.startContainer(id, never);
      const middle = performance.now();
      await engine.stopContainer(id, undefined, never);
      const took = performance.now() - middle;
      assert.ok(took > 900 && took < 8_000, `a grace of 1 s took ${took} ms`);
      assert.ok(middle - began < 5_000, "no grace took long");
    });

    it("O04 a restart gives a new run, and starts what does not run", async () => {
      const { id } = await run();
      const first = await engine.getContainer(id, never);
      assert.deepEqual(await engine.restartContainer(id, 0, never), { changed: true });
      const second = await engine.getContainer(id, never);
      assert.equal(second.state, ContainerState.RUNNING);
      assert.notDeepEqual(second.startedTime, first.startedTime);
      await engine.stopContainer(id, 0, never);
      assert.deepEqual(await engine.restartContainer(id, 0, never), { changed: true });
      assert.equal(await stateOf(id), ContainerState.RUNNING);
    });

    it("O04 kill sends any signal: SIGKILL when none is named, others by name and number", async () => {
      const { id } = await run();
      for (const harmless of ["SIGHUP", "hup", "1", "RTMIN+3"]) {
        assert.deepEqual(await engine.killContainer(id, harmless, never), { changed: true });
        assert.equal(await stateOf(id), ContainerState.RUNNING, `${harmless} ended it`);
      }
      const watcher = await EngineWatcher.open(engine);
      assert.deepEqual(await engine.killContainer(id, "", never), { changed: true });
      await watcher.until(id, "DIED");
      await watcher.close();
      assert.equal((await engine.getContainer(id, never)).exitCode, 137);
    });

    it("O04 pause and unpause", async () => {
      const { id } = await run();
      assert.deepEqual(await engine.pauseContainer(id, never), { changed: true });
      assert.equal(await stateOf(id), ContainerState.PAUSED);
      await refused(engine.startContainer(id, never), "CONFLICT", "paused");
      assert.deepEqual(await engine.unpauseContainer(id, never), { changed: true });
      assert.equal(await stateOf(id), ContainerState.RUNNING);
    });

    it("O04 rename keeps the id and frees the old name", async () => {
      const { id, name } = await make();
      const renamed = harness.uniqueName();
      assert.deepEqual(await engine.renameContainer(name, renamed, never), { changed: true });
      assert.equal((await engine.getContainer(renamed, never)).id, id);
      await refused(engine.getContainer(name, never), "CONTAINER_NOT_FOUND", name);
      await make({}, name);
    });

    it("O04 remove wants force for what runs", async () => {
      const { id } = await run();
      const plainRemoval = engine.removeContainer(id, { force: false, removeVolumes: false }, never);
      await refused(plainRemoval, "CONFLICT", "cannot remove a running container");
      assert.deepEqual(await remove(id), { changed: true });
      await refused(remove(id), "CONTAINER_NOT_FOUND", id);
    });

    it("O05 what is so already succeeds and says that nothing changed", async () => {
      const { id, name } = await make();
      const unchanged = { changed: false };
      assert.deepEqual(await engine.stopContainer(id, 0, never), unchanged);
      assert.deepEqual(await engine.unpauseContainer(id, never), unchanged);
      await engine.startContainer(id, never);
      assert.deepEqual(await engine.startContainer(id, never), unchanged);
      assert.deepEqual(await engine.unpauseContainer(id, never), unchanged);
      await engine.pauseContainer(id, never);
      assert.deepEqual(await engine.pauseContainer(id, never), unchanged);
      assert.deepEqual(await engine.renameContainer(id, name, never), unchanged);
      assert.equal((await engine.getContainer(id, never)).name, name);
    });

    it("O06 no such container, for every call, in the engine's own words", async () => {
      const nobody = harness.uniqueName();
      const calls = [
        () => engine.getContainer(nobody, never),
        () => engine.inspectContainer(nobody, never),
        () => engine.startContainer(nobody, never),
        () => engine.stopContainer(nobody, 0, never),
        () => engine.restartContainer(nobody, 0, never),
        () => engine.killContainer(nobody, "", never),
        () => engine.pauseContainer(nobody, never),
        () => engine.unpauseContainer(nobody, never),
        () => engine.renameContainer(nobody, harness.uniqueName(), never),
        () => remove(nobody),
      ];
      for (const call of calls) {
        await refused(call(), "CONTAINER_NOT_FOUND", `No such container: ${nobody}`);
      }
    });

    it("O06 a name that is taken, for create and rename", async () => {
      const { name } = await make();
      const other = await make();
      await refused(make({}, name), "NAME_IN_USE", `"/${name}" is already in use`);
      await refused(engine.renameContainer(other.id, name, never), "NAME_IN_USE", name);
      await refused(make({}, "not/a name"), "INVALID_ARGUMENT", "Invalid container name");
      await refused(
        engine.renameContainer(other.id, "not/a name", never),
        "INVALID_ARGUMENT",
        "Invalid container name",
      );
    });

    it("O06 a signal that is none, and a kill or pause of what does not run", async () => {
      const { id } = await run();
      await refused(engine.killContainer(id, "SIGNONSENSE", never), "INVALID_ARGUMENT", "SIGNONSENSE");
      await refused(engine.killContainer(id, "0", never), "INVALID_ARGUMENT", "0");
      await refused(engine.killContainer(id, "99", never), "INVALID_ARGUMENT", "99");
      await engine.stopContainer(id, 0, never);
      await refused(engine.killContainer(id, "", never), "CONFLICT", "is not running");
      await refused(engine.pauseContainer(id, never), "CONFLICT", "is not running");
    });

    it("O06 what cannot be created is refused with the reason, and leaves nothing", async () => {
      const name = harness.uniqueName();
      await refused(make({ image: "nobody/has-this:1" }, name), "IMAGE_NOT_FOUND", "nobody/has-this:1");
      await refused(make({ command: [] }, name), "INVALID_ARGUMENT", "No command specified");
      await refused(make({ limits: { memoryBytes: 4096n } }, name), "INVALID_ARGUMENT", "Minimum memory");
      await refused(make({ networks: ["no-such-net"] }, name), "INVALID_ARGUMENT", "no-such-net");
      await refused(make({ networks: ["host", "bridge"] }, name), "INVALID_ARGUMENT", "host");
      await refused(make({ stopSignal: "SIGNONSENSE" }, name), "INVALID_ARGUMENT", "SIGNONSENSE");
      await refused(engine.getContainer(name, never), "CONTAINER_NOT_FOUND", name);
    });

    it("O06 a port that another container has is a conflict at the start", async () => {
      const first = await run({ ports: [{ containerPort: 80 }] });
      const { ports } = await engine.getContainer(first.id, never);
      const hostPort = ports?.[0]?.hostPort ?? 0;
      assert.ok(hostPort > 0, "no port was chosen");
      const second = await make({ ports: [{ containerPort: 80, hostPort }] });
      await refused(engine.startContainer(second.id, never), "CONFLICT", "port is already allocated");
    });

    it("O07 full id, unambiguous prefix and name all mean the container, also a name with dots and dashes", async () => {
      const name = `${harness.uniqueName()}.web-1_a`;
      const { id } = await make({}, name);
      for (const reference of [id, id.slice(0, 12), id.slice(0, 20), name]) {
        assert.equal((await engine.getContainer(reference, never)).id, id, reference);
      }
      assert.deepEqual(await engine.startContainer(id.slice(0, 12), never), { changed: true });
      assert.equal(await stateOf(name), ContainerState.RUNNING);
    });

    it("O07 a name goes before a prefix that looks the same", async () => {
      const one = await make();
      const prefix = one.id.slice(0, 14);
      const other = await make({}, prefix);
      assert.equal((await engine.getContainer(prefix, never)).id, other.id);
      assert.equal((await engine.getContainer(one.id, never)).id, one.id);
    });

    it("O07 an ambiguous prefix is an error that lists the candidates, for reads and changes", async () => {
      // With more containers than hexadecimal digits two must begin alike.
      const made = await Promise.all(Array.from({ length: 17 }, async () => (await make()).id));
      const digit = "0123456789abcdef"
        .split("")
        .find((digit) => made.filter((id) => id.startsWith(digit)).length > 1) as string;
      const expected = made.filter((id) => id.startsWith(digit));
      for (const call of [
        () => engine.getContainer(digit, never),
        () => engine.startContainer(digit, never),
        () => engine.stopContainer(digit, 0, never),
        () => remove(digit),
      ]) {
        const error = await refused(call(), "CONTAINER_AMBIGUOUS", digit);
        const candidates = error.metadata["candidates"]?.split(",") ?? [];
        assert.ok(candidates.length > 1);
        assert.deepEqual(
          candidates.filter((id) => !id.startsWith(digit)),
          [],
        );
        // Others may be there too; of ours none is left out unless the list is full.
        assert.ok(candidates.length === 16 || expected.every((id) => candidates.includes(id)));
      }
      await Promise.all(made.map(remove));
    });

    it("O08 a container is as its whole specification says", async () => {
      const { id, name } = await run({
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
        networks: ["bridge", harness.network],
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
      const { container, engineJson } = await engine.inspectContainer(id, never);
      assert.equal(container.name, name);
      assert.equal(container.image, harness.image);
      assert.match(container.imageId ?? "", /^sha256:[0-9a-f]{64}$/);
      assert.equal(container.command, "sleep 600");
      assert.equal(container.labels?.["com.example.team"], "späti ☕");
      assert.deepEqual(
        container.ports?.map(({ containerPort, hostIp, protocol }) => [containerPort, hostIp, protocol]),
        [
          [53, "127.0.0.1", "udp"],
          [8080, "", "tcp"],
        ],
      );
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
        ["bridge", harness.network].toSorted(),
      );
      assert.ok(container.networks?.every(({ ipAddress = "" }) => /^\d+\.\d+\.\d+\.\d+$/.test(ipAddress)));
      assertSettings(JSON.parse(engineJson) as EngineJson);
    });

    it("O09 inspect gives the common part and the engine's whole JSON", async () => {
      const { id, name } = await run();
      const { container, engineJson } = await engine.inspectContainer(name, never);
      const { observedTime: _, ...common } = container;
      const { observedTime, ...alone } = await engine.getContainer(id, never);
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
      const ids = [(await make()).id, (await run()).id, (await run({ command: ["false"] })).id];
      await settled(async () => (await stateOf(ids[2] as string)) === ContainerState.EXITED);
      const list = await engine.listContainers(never);
      for (const id of ids) {
        const { observedTime: _, ...listed } = list.find((container) => container.id === id) ?? {
          id: "",
          name: "",
        };
        const { observedTime: __, ...alone } = await engine.getContainer(id, never);
        assert.deepEqual(listed, alone);
      }
      assert.equal(list.find(({ id }) => id === ids[2])?.exitCode, 1);
    });

    it("O20 a list while containers come and go leaves out what is gone and fails for none", async () => {
      const stays = (await make()).id;
      const churning = { on: true };
      const churn = (async () => {
        while (churning.on) {
          await remove((await make()).id);
        }
      })();
      try {
        for (let round = 0; round < 5; round += 1) {
          assert.ok((await engine.listContainers(never)).some(({ id }) => id === stays));
        }
      } finally {
        churning.on = false;
        await churn;
      }
    });

    it("O04 a container that is removed at its end is gone after a stop", async () => {
      const { id } = await run({ autoRemove: true });
      const watcher = await EngineWatcher.open(engine);
      await engine.stopContainer(id, 0, never);
      await watcher.until(id, "REMOVED");
      await watcher.close();
      await refused(engine.getContainer(id, never), "CONTAINER_NOT_FOUND", id);
    });

    it("O04 removed by two at once it is gone, and neither hears of anything but that", async () => {
      const { id } = await run();
      const outcomes = await Promise.allSettled([remove(id), remove(id), remove(id)]);
      assert.ok(outcomes.some((outcome) => outcome.status === "fulfilled" && outcome.value.changed));
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") {
          assert.equal((outcome.reason as FleetError).reason, "CONTAINER_NOT_FOUND");
        }
      }
      await refused(engine.getContainer(id, never), "CONTAINER_NOT_FOUND", id);
    });

    it("O04 a container that is removed while it is being stopped does not keep the stop waiting", async () => {
      const { id } = await run();
      const stop = engine.stopContainer(id, 30_000, never).then(
        () => undefined,
        (error: unknown) => error,
      );
      await new Promise((resolve) => setTimeout(resolve, 200));
      await remove(id);
      const outcome = await stop;
      assert.ok(outcome === undefined || outcome instanceof FleetError, String(outcome));
      await refused(engine.getContainer(id, never), "CONTAINER_NOT_FOUND", id);
    });

    it("O20 twenty lives side by side all come to their own end", async () => {
      const ends = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const { id } = await run({ command: ["sh", "-c", `sleep 0.2; exit ${index}`] });
          await settled(async () => (await stateOf(id)) === ContainerState.EXITED);
          const { exitCode } = await engine.getContainer(id, never);
          await remove(id);
          return exitCode;
        }),
      );
      assert.deepEqual(
        ends,
        ends.map((_, index) => index),
      );
    });

    it("L05 each fact is told once, however many events the engine makes of it", async () => {
      const watcher = await EngineWatcher.open(engine);
      const { id, name } = await make();
      await engine.startContainer(id, never);
      await engine.pauseContainer(id, never);
      await engine.unpauseContainer(id, never);
      await engine.stopContainer(id, 0, never);
      await engine.startContainer(id, never);
      await engine.restartContainer(id, 0, never);
      await engine.killContainer(id, "HUP", never);
      await engine.killContainer(id, "KILL", never);
      await watcher.until(id, "DIED");
      const renamed = harness.uniqueName();
      await engine.renameContainer(id, renamed, never);
      await remove(id);
      await watcher.until(id, "REMOVED");
      assert.equal(await watcher.close(), undefined);
      assert.deepEqual(watcher.of(id), [
        "CREATED",
        "STARTED",
        "PAUSED",
        "UNPAUSED",
        "DIED",
        "STARTED",
        "DIED",
        "STARTED",
        "DIED",
        "RENAMED",
        "REMOVED",
      ]);
      const events = watcher.events(id);
      assert.deepEqual([events[0]?.containerName, events.at(-1)?.containerName], [name, renamed]);
      assert.ok(events.every(({ image }) => image === harness.image));
      assert.equal(events.find(({ exitCode }) => exitCode !== 0)?.exitCode, 137);
      const times = events.map(({ timeNs }) => timeNs);
      assert.deepEqual(
        times,
        times.toSorted((one, other) => (one < other ? -1 : one > other ? 1 : 0)),
      );
      assert.ok(Math.abs(Number((times[0] ?? 0n) / 1_000_000n) - Date.now()) < 60_000, "not in nanoseconds");
    });

    it("L05 an end by itself carries its exit code, and two watchers both hear of it", async () => {
      const watchers = await Promise.all([EngineWatcher.open(engine), EngineWatcher.open(engine)]);
      const { id } = await run({ command: ["sh", "-c", "exit 3"] });
      for (const watcher of watchers) {
        await watcher.until(id, "DIED");
        assert.deepEqual(watcher.of(id), ["CREATED", "STARTED", "DIED"]);
        assert.equal(watcher.events(id).at(-1)?.exitCode, 3);
        await watcher.close();
      }
    });

    it("L05 nothing that happens after `listening` is missed", async () => {
      for (let round = 0; round < 5; round += 1) {
        const watcher = await EngineWatcher.open(engine);
        const { id } = await make();
        await watcher.until(id, "CREATED");
        await watcher.close();
      }
    });

    it("L05 a watch whose signal aborts, before or meanwhile, just ends", async () => {
      const notices: unknown[] = [];
      for await (const notice of engine.watch(AbortSignal.abort(new Error("too late")))) {
        notices.push(notice);
      }
      assert.deepEqual(notices, []);
      const watcher = await EngineWatcher.open(engine);
      assert.equal(await watcher.close(), undefined);
    });

    it("O20 an abort rejects with the reason of the signal", async () => {
      const reason = new Error("the caller has gone");
      const aborted = AbortSignal.abort(reason);
      await assert.rejects(engine.facts(aborted), reason);
      await assert.rejects(engine.listContainers(aborted), reason);
      await assert.rejects(engine.startContainer("any", aborted), reason);
      const { id } = await run();
      const controller = new AbortController();
      const stop = engine.stopContainer(id, 30_000, controller.signal);
      setTimeout(() => controller.abort(reason), 100);
      await assert.rejects(stop, reason);
    });
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

/** Waits for a rejection with this reason and these words, and resolves to it. */
export async function refused(call: Promise<unknown>, reason: Reason, words: string): Promise<FleetError> {
  const error = await call.then(
    () => assert.fail(`expected ${reason}, but it succeeded`),
    (error: unknown) => error,
  );
  assert.ok(error instanceof FleetError, String(error));
  assert.equal(error.reason, reason, error.message);
  assert.ok(error.message.includes(words), `"${error.message}" does not say "${words}"`);
  return error;
}

async function settled(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, "it takes too long");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
