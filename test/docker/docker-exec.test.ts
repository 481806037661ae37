import assert from "node:assert/strict";
import type { DockerEngine } from "../../src/agent/engine/docker-engine.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { removeContainers, runContainer } from "../support/docker.ts";
import { dockerCommand, requireDockerCommand } from "../support/docker-command.ts";
import { engineAtSocket } from "../support/engine-at-socket.ts";
import { execSpec, type Told, toEnd } from "../support/engine-process-kit.ts";

const subject = `docker-exec-${process.pid}`;

const commands: readonly (readonly string[])[] = [
  ["sh", "-c", "echo out; echo err >&2; exit 42"],
  ["sh", "-c", "kill -9 $$"],
  ["sh", "-c", "kill -15 $$"],
  ["no-such-command"],
  ["/tmp"],
  ["env"],
  ["head", "-c", "200000", "/bin/busybox"],
];

async function theirs(id: string, command: readonly string[]): Promise<Told> {
  const { stdout, stderr, exitCode } = await dockerCommand("exec", id, ...command);
  return { stdout: stdout.toString("latin1"), stderr: stderr.toString("latin1"), exitCode };
}

describe("docker: processes beside those of the docker command", function () {
  this.timeout(60_000);
  this.slow(10_000);
  let engine: DockerEngine;

  before(async function () {
    await requireDockerCommand(this);
    engine = engineAtSocket();
  });
  after(async () => {
    await engine?.close();
    await removeContainers(subject);
  });

  for (const command of commands) {
    it(`O13 the same output and exit code: ${command.join(" ")}`, async () => {
      const id = await runContainer({ subject });
      const process = await engine.exec(id, execSpec(command), neverAborted);
      assert.deepEqual(await toEnd(process), await theirs(id, command));
    });
  }
});
