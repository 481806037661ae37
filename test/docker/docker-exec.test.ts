import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { DockerEngine } from "../../src/agent/engine/docker-engine.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { removeContainers, requireDocker, runContainer } from "../support/docker.ts";
import { execSpec, type Told, toEnd } from "../support/engine-process-kit.ts";
import { requireTool } from "../support/require-tool.ts";
import { silentLogger } from "../support/silent-logger.ts";

const run = promisify(execFile);
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
  const options = { encoding: "latin1", maxBuffer: 16 * 1024 * 1024 } as const;
  const told = await run("docker", ["exec", id, ...command], options).then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  );
  return { stdout: told.stdout, stderr: told.stderr, exitCode: told.code };
}

describe("docker: processes beside those of the docker command", function () {
  this.timeout(60_000);
  this.slow(10_000);
  let engine: DockerEngine;

  before(async function () {
    await requireDocker(this);
    const isThere = await run("docker", ["--version"]).then(
      () => true,
      () => false,
    );
    requireTool(this, "docker", isThere);
    const path = "/var/run/docker.sock";
    const endpoint = { kind: "socket", address: `unix://${path}`, path } as const;
    engine = new DockerEngine({ endpoint, clock: systemClock, logger: silentLogger });
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
