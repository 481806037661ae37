import assert from "node:assert/strict";
import type { DockerEngine } from "../../src/agent/engine/docker-engine.ts";
import type { LogQuery, LogRecord } from "../../src/agent/engine/engine-streams.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { docker, removeContainers, runContainer } from "../support/docker.ts";
import { dockerCommand, requireDockerCommand } from "../support/docker-command.ts";
import { engineAtSocket } from "../support/engine-at-socket.ts";
import { bytesOf, wholeLog } from "../support/engine-log-kit.ts";

const subject = `docker-logs-${process.pid}`;

/** A long line, a binary file, half a character, empty lines, and no end; twice, because it is started twice. */
const everything =
  "sleep 0.2; head -c 1000000 /dev/zero | tr '\\0' a; echo; head -c 300000 /bin/busybox; printf '\\342\\202'; echo; echo; " +
  "echo 2026-01-02T03:04:05.123456789Z like a time; echo in 2026-01-02T03:04:05.123456789Z the middle; printf 'no end'";

async function theirs(id: string, ...flags: string[]): Promise<Buffer> {
  const { exitCode, stdout } = await dockerCommand("logs", ...flags, id);
  assert.equal(exitCode, 0);
  return stdout;
}

describe("docker: logs beside those of the docker command", function () {
  this.timeout(60_000);
  this.slow(15_000);
  let engine: DockerEngine;

  before(async function () {
    await requireDockerCommand(this);
    engine = engineAtSocket();
  });
  after(async () => {
    await engine?.close();
    await removeContainers(subject);
  });

  async function ours(id: string, query: Partial<LogQuery> = {}): Promise<LogRecord[]> {
    const records: LogRecord[] = [];
    for await (const together of engine.logs(id, { ...wholeLog, ...query }, neverAborted)) {
      records.push(...together);
    }
    return records;
  }

  for (const driver of ["json-file", "local"]) {
    for (const tty of [false, true]) {
      it(`O11 O12 every byte is the same: driver ${driver}, ${tty ? "with" : "without"} a TTY`, async () => {
        const create = { Tty: tty, HostConfig: { LogConfig: { Type: driver, Config: {} } } };
        const id = await runContainer({ subject, command: ["sh", "-c", everything], create });
        await docker.getContainer(id).wait();
        await docker.getContainer(id).start();
        await docker.getContainer(id).wait();
        const records = await ours(id);
        const expected = await theirs(id);
        assert.ok(expected.length > 2_600_000, "the log is not what it should be");
        assert.ok(bytesOf(records).equals(expected), "the bytes differ");
        const tail = await ours(id, { tail: 5 });
        assert.ok(bytesOf(tail).equals(await theirs(id, "--tail", "5")), "the tails differ");
        assert.deepEqual(tail, records.slice(-5), "a tail is not the end of the whole");
        assert.ok(records.every(({ timeNs }, index) => timeNs >= (records[index - 1]?.timeNs ?? 1n)));
      });
    }
  }
});
