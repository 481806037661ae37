import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DockerEngine } from "../../src/agent/engine/docker-engine.ts";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { docker, engineSocket, removeContainers, requireDocker, runContainer } from "../support/docker.ts";
import { refused } from "../support/engine-kit.ts";
import { EngineWatcher } from "../support/engine-watcher.ts";
import { engineAtSocket } from "../support/engine-at-socket.ts";

const subject = `engine-broken-connection-${process.pid}`;

describe("docker: a connection that breaks", function () {
  this.timeout(60_000);
  this.slow(10_000);
  let wire: Wire;
  let engine: DockerEngine;

  before(async function () {
    await requireDocker(this);
    wire = await openWire(engineSocket);
    engine = engineAtSocket(wire.path);
  });
  after(async () => {
    await engine?.close();
    await wire?.close();
    if (wire !== undefined) {
      await removeContainers(subject);
    }
  });

  it("C42 a stop that was cut in the middle is OUTCOME_UNKNOWN, and the engine did stop it", async () => {
    const id = await runContainer({ subject });
    const stop = engine.stopContainer(id, 2_000, neverAborted);
    setTimeout(() => wire.cut(), 500);
    await refused(stop, "OUTCOME_UNKNOWN", "nobody knows");
    await docker.getContainer(id).wait();
    const { state } = await engine.getContainer(id, neverAborted);
    assert.equal(state, ContainerState.EXITED);
  });

  it("C42 a read that was cut is ENGINE_UNAVAILABLE, and so is a watch", async () => {
    const watcher = await EngineWatcher.open(engine);
    wire.cut();
    await refused(
      watcher.ended.then((error) => Promise.reject(error)),
      "ENGINE_UNAVAILABLE",
      "",
    );
    wire.refuse(true);
    await refused(engine.facts(neverAborted), "ENGINE_UNAVAILABLE", "");
    wire.refuse(false);
    assert.ok((await engine.facts(neverAborted)).engineId);
  });
});

/** A wire to the engine that can be cut. */
interface Wire {
  readonly path: string;
  /** Cuts every connection there is. */
  cut(): void;
  /** Cuts every connection to come. */
  refuse(refusing: boolean): void;
  close(): Promise<void>;
}

async function openWire(target: string): Promise<Wire> {
  const folder = await mkdtemp(join(tmpdir(), "fairlead-wire-"));
  const path = join(folder, "docker.sock");
  const sockets = new Set<Socket>();
  let refusing = false;
  const server = createServer((near) => {
    if (refusing) {
      near.destroy();
      return;
    }
    const far = connect(target);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }).listen(path);
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  return {
    path,
    cut,
    refuse: (value) => {
      refusing = value;
    },
    async close() {
      cut();
      server.close();
      await once(server, "close");
      await rm(folder, { recursive: true, force: true });
    },
  };
}
