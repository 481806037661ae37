import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { DockerEngine } from "../../src/agent/engine/docker-engine.ts";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { ContainerSpecSchema } from "../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { ensureImage } from "../support/docker.ts";
import { engineAtSocket } from "../support/engine-at-socket.ts";
import type { LogRecord } from "../../src/agent/engine/engine-streams.ts";
import { oneByOne, wholeLog } from "../support/engine-log-kit.ts";
import type { FleetError } from "../../src/domain/errors.ts";
import { execSpec, OutputReader } from "../support/engine-process-kit.ts";
import { refused } from "../support/engine-kit.ts";
import { EngineWatcher } from "../support/engine-watcher.ts";
import { type PrivateEngine, startPrivateEngine } from "../support/private-engine.ts";

describe("docker: an engine that stops and comes back", function () {
  this.timeout(120_000);
  this.slow(30_000);
  let dockerd: PrivateEngine;
  let engine: DockerEngine;
  const never = neverAborted;

  before(async function () {
    dockerd = await startPrivateEngine(this);
    engine = engineAtSocket(dockerd.socketPath);
  });
  after(async function () {
    this.timeout(60_000);
    await engine?.close();
    await dockerd?.dispose();
  });

  for (const end of ["stop", "kill"] as const) {
    it(`O21 after a ${end} of the engine calls and watches say ENGINE_UNAVAILABLE, and work again after its return`, async () => {
      const image = await ensureImage(dockerd.docker);
      const spec = create(ContainerSpecSchema, { image, command: ["sleep", "600"] });
      const id = await engine.createContainer(`survivor-of-${end}`, spec, never);
      const { engineId } = await engine.facts(never);
      const watcher = await EngineWatcher.open(engine);

      await dockerd[end]();
      await refused(
        watcher.ended.then((error) => Promise.reject(error)),
        "ENGINE_UNAVAILABLE",
        "",
      );
      await refused(engine.facts(never), "ENGINE_UNAVAILABLE", dockerd.socketPath);
      await refused(engine.listContainers(never), "ENGINE_UNAVAILABLE", dockerd.socketPath);
      await refused(engine.startContainer(id, never), "ENGINE_UNAVAILABLE", dockerd.socketPath);
      await refused(engine.createContainer("", spec, never), "ENGINE_UNAVAILABLE", dockerd.socketPath);

      await dockerd.start();
      assert.equal((await engine.facts(never)).engineId, engineId);
      assert.equal((await engine.getContainer(id, never)).state, ContainerState.CREATED);
      const again = await EngineWatcher.open(engine);
      await engine.removeContainer(id, { force: true, removeVolumes: true }, never);
      await again.until(id, "REMOVED");
      assert.deepEqual(again.of(id), ["REMOVED"], "what was told before is told again");
      assert.equal(await again.close(), undefined);
    });
  }

  it("O21 an engine that is killed in the middle of a log that is followed is ENGINE_UNAVAILABLE, and the log can be read again", async () => {
    const image = await ensureImage(dockerd.docker);
    const command = ["sh", "-c", "echo one; sleep 600"];
    const spec = create(ContainerSpecSchema, { image, command, networks: ["none"] });
    const id = await engine.createContainer("followed", spec, never);
    await engine.startContainer(id, never);
    const reader = oneByOne(engine.logs(id, { ...wholeLog, follow: true }, never));
    const { value } = await reader.next();
    assert.equal(Buffer.from((value as LogRecord).data).toString(), "one\n");
    const broken = refused(reader.next(), "ENGINE_UNAVAILABLE", "");
    await dockerd.kill();
    await broken;
    await dockerd.start();
    const again = engine.logs(id, { ...wholeLog, sinceNs: (value as LogRecord).timeNs }, never);
    assert.deepEqual((await oneByOne(again).next()).value, value);
    await engine.removeContainer(id, { force: true, removeVolumes: true }, never);
  });

  it("O13 O21 an engine that is killed under a process says ENGINE_UNAVAILABLE, and letting go of it never fails", async () => {
    const image = await ensureImage(dockerd.docker);
    const spec = create(ContainerSpecSchema, { image, command: ["sleep", "600"], networks: ["none"] });
    const id = await engine.createContainer("asked", spec, never);
    await engine.startContainer(id, never);
    const process = await engine.exec(
      id,
      execSpec(["sh", "-c", "echo up; sleep 600"], { stdin: true }),
      never,
    );
    const attached = await engine.attach(id, { stdin: false }, never);
    const reader = new OutputReader(process);
    await reader.until("up\n");
    await dockerd.kill();
    await reader
      .end()
      .catch((error: unknown) => assert.equal((error as FleetError).reason, "ENGINE_UNAVAILABLE"));
    await process.write(Buffer.from("nobody takes it"));
    await refused(process.exitCode(never), "ENGINE_UNAVAILABLE", "");
    await refused(attached.exitCode(never), "ENGINE_UNAVAILABLE", "");
    await process.kill();
    await attached.kill();
    await dockerd.start();
    await engine.removeContainer(id, { force: true, removeVolumes: true }, never);
  });
});
