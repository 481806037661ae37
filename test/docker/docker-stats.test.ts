import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { DockerEngine } from "../../src/agent/engine/docker-engine.ts";
import { binarySize } from "../../src/cli/output/sizes.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { removeContainers, requireDocker, runContainer } from "../support/docker.ts";
import { Fleet } from "../support/fleet.ts";
import { requireTool } from "../support/require-tool.ts";
import { silentLogger } from "../support/silent-logger.ts";

const run = promisify(execFile);
const subject = `docker-stats-${process.pid}`;

describe("figures beside docker's own", function () {
  this.timeout(60_000);
  this.slow(20_000);
  before(async function () {
    await requireDocker(this);
    const isThere = await run("docker", ["--version"]).then(
      () => true,
      () => false,
    );
    requireTool(this, "docker", isThere);
  });
  after(() => removeContainers(subject));

  it("O14 are the same within sampling", async () => {
    const limit = 128 * 1024 * 1024;
    const script = "head -c 40000000 /dev/zero >/cached; (while true; do :; done) & sleep 600";
    const id = await runContainer({
      subject,
      command: ["sh", "-c", script],
      // A share that does not depend on how busy the machine is otherwise.
      create: { HostConfig: { Memory: limit, NanoCpus: 200_000_000 } },
    });
    const engine = new DockerEngine({
      endpoint: { kind: "socket", path: "/var/run/docker.sock", address: "unix:///var/run/docker.sock" },
      clock: systemClock,
      logger: silentLogger,
    });
    await using fleet = await Fleet.start();
    await fleet.enrol("host", engine);
    await fleet.untilContainer(id, () => true);
    const format = "{{.CPUPerc}} {{.MemUsage}} {{.PIDs}}";
    const docker = run("docker", ["stats", "--no-stream", "--format", format, id]);
    const { containers } = await fleet.api.stats.getStats({ selector: { containers: [id] } });
    const { stats } = containers[0] ?? {};
    assert.ok(stats !== undefined);
    const [, cpu, used, unit, bound, pids] =
      /^([\d.]+)% ([\d.]+)(\w+) \/ (\S+) (\d+)\n$/.exec((await docker).stdout) ?? [];
    assert.equal(bound, binarySize(stats.memoryLimitBytes));
    assert.equal(Number(pids), stats.pids);
    const factor = { B: 1, KiB: 1_024, MiB: 1_024 ** 2 }[unit ?? ""] ?? Number.NaN;
    const difference = Math.abs(Number(used) * factor - Number(stats.memoryBytes));
    // Without the cache: with it there would be 40 MB more.
    assert.ok(difference < 4 * 1024 * 1024, `${used}${unit}, and ${stats.memoryBytes} bytes`);
    assert.ok(Math.abs(Number(cpu) - stats.cpuPercent) < 15, `${cpu} %, and ${stats.cpuPercent} %`);
    assert.ok(stats.cpuPercent > 2, `${stats.cpuPercent} %`);
  });
});
