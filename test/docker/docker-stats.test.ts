import assert from "node:assert/strict";
import { binarySize } from "../../src/cli/output/sizes.ts";
import type { ContainerStats } from "../../src/gen/fairlead/container/v1/stats_pb.js";
import { removeContainers, runContainer } from "../support/docker.ts";
import { dockerCommand, requireDockerCommand } from "../support/docker-command.ts";
import { engineAtSocket } from "../support/engine-at-socket.ts";
import { Fleet } from "../support/fleet.ts";

const subject = `docker-stats-${process.pid}`;

interface Theirs {
  readonly cpuPercent: number;
  readonly memoryBytes: number;
  readonly limit: string | undefined;
  readonly pids: number;
}

async function theirs(id: string): Promise<Theirs> {
  const format = "{{.CPUPerc}} {{.MemUsage}} {{.PIDs}}";
  const { stdout } = await dockerCommand("stats", "--no-stream", "--format", format, id);
  const figures = /^([\d.]+)% ([\d.]+)(\w+) \/ (\S+) (\d+)\n$/.exec(stdout.toString());
  const [, cpu, used, unit, limit, pids] = figures ?? [];
  const factor = { B: 1, KiB: 1_024, MiB: 1_024 ** 2 }[unit ?? ""] ?? Number.NaN;
  return { cpuPercent: Number(cpu), memoryBytes: Number(used) * factor, limit, pids: Number(pids) };
}

/** With the page cache there would be 40 MB more. */
function isNear({
  ours,
  theirs: expected,
}: {
  readonly ours: ContainerStats;
  readonly theirs: Theirs;
}): boolean {
  const memory = Math.abs(expected.memoryBytes - Number(ours.memoryBytes));
  const cpu = Math.abs(expected.cpuPercent - ours.cpuPercent) / expected.cpuPercent;
  return memory < 4 * 1_024 ** 2 && cpu < 0.2;
}

describe("figures beside docker's own", function () {
  this.timeout(60_000);
  this.slow(20_000);
  before(async function () {
    await requireDockerCommand(this);
  });
  after(() => removeContainers(subject));

  it("O14 are the same within sampling", async () => {
    const limit = 128 * 1024 * 1024;
    const script = "head -c 40000000 /dev/zero >/cached; (while true; do :; done) & sleep 600";
    const id = await runContainer({
      subject,
      command: ["sh", "-c", script],
      // A share that does not depend on how busy the machine is otherwise.
      create: { HostConfig: { Memory: limit, NanoCpus: 300_000_000 } },
    });
    const engine = engineAtSocket();
    await using fleet = await Fleet.start();
    await fleet.enrol("host", engine);
    await fleet.untilContainer(id, () => true);
    const measure = async () => {
      const docker = theirs(id);
      const { containers } = await fleet.api.stats.getStats({ selector: { containers: [id] } });
      const { stats } = containers[0] ?? {};
      assert.ok(stats !== undefined);
      return { ours: stats, theirs: await docker };
    };
    let last = await measure();
    // The two do not look at the same moment; what is counted otherwise is never near.
    for (let attempt = 1; attempt < 8 && !isNear(last); attempt += 1) last = await measure();
    const { ours, theirs: expected } = last;
    assert.ok(
      isNear(last),
      `${JSON.stringify(expected)}, and ${ours.cpuPercent} %, ${ours.memoryBytes} bytes`,
    );
    assert.equal(expected.limit, binarySize(ours.memoryLimitBytes));
    assert.equal(expected.pids, ours.pids);
    await engine.close();
  });
});
