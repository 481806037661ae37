import assert from "node:assert/strict";
import { DockerConnection } from "../../src/agent/engine/docker-connection.ts";
import type { DockerEngine } from "../../src/agent/engine/docker-engine.ts";
import { type ExecReach, reachInside } from "../../src/agent/engine/docker-exec-reach.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import {
  engineSocket,
  processesOf,
  removeContainers,
  requireDocker,
  runContainer,
} from "../support/docker.ts";
import { refused, settled } from "../support/engine-kit.ts";
import { execSpec } from "../support/engine-process-kit.ts";
import { engineAtSocket } from "../support/engine-at-socket.ts";

const subject = `docker-exec-reach-${process.pid}`;
const endpoint = { kind: "socket", address: `unix://${engineSocket}`, path: engineSocket } as const;

describe("docker: processes of an engine that is elsewhere", function () {
  this.timeout(60_000);
  this.slow(10_000);
  let engine: DockerEngine;
  let connection: DockerConnection;

  before(async function () {
    await requireDocker(this);
    engine = engineAtSocket();
    connection = new DockerConnection(endpoint);
  });
  after(async () => {
    connection?.close();
    await engine?.close();
    await removeContainers(subject);
  });

  function reachOf(containerId: string, mark: string, user = ""): ExecReach {
    const spec = execSpec(["true"], { user });
    return reachInside({ connection, clock: systemClock, containerId, spec, mark });
  }

  for (const user of ["", "1000:1000"]) {
    it(`O13 what carries the mark is killed with all that it started, and nothing else, as user "${user}"`, async () => {
      const id = await runContainer({ subject });
      const marked = reachOf(id, "mark-of-one", user);
      const other = reachOf(id, "mark-of-another", user);
      const start = async (seconds: number, { environment }: ExecReach) => {
        const command = ["sh", "-c", `sleep ${seconds} & sleep ${seconds}; echo done`];
        await engine.exec(id, execSpec(command, { environment, user }), neverAborted);
      };
      await start(501, marked);
      await start(502, other);
      await settled(
        async () => (await processesOf(id)).filter((it) => it.startsWith("sleep 50")).length === 4,
      );
      assert.equal(await marked.signalAll(0, 9, neverAborted), true);
      await settled(async () => !(await processesOf(id)).some((it) => it.includes("501")));
      assert.equal((await processesOf(id)).filter((it) => it === "sleep 502").length, 2);
      assert.equal(await marked.signalAll(0, 9, neverAborted), false, "there is something left");
      assert.equal(await other.signal(0, 15, neverAborted), true);
      await settled(async () => (await processesOf(id)).join() === "sleep 600");
    });
  }

  it("O13 a container without a shell is said to be out of reach", async () => {
    const id = await runContainer({
      subject,
      create: { Cmd: ["/bin/sleep", "600"], Env: ["PATH=/nowhere"] },
    });
    await refused(reachOf(id, "mark").signalAll(0, 9, neverAborted), "OPERATION_UNSUPPORTED", "shell");
  });
});
