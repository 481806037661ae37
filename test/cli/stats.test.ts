import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  GetStatsRequest,
  GetStatsResponseSchema,
  StreamStatsResponseSchema,
} from "../../src/gen/fairlead/container/v1/stats_service_pb.js";
import { FleetError } from "../../src/domain/errors.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { type Answers, closeApis, fairlead } from "./command-line.ts";

type Once = MessageInitShape<typeof GetStatsResponseSchema>;
type Moment = MessageInitShape<typeof StreamStatsResponseSchema>;

const host = (name: string) => ({ id: `id-of-${name}`, name, online: true });

const sample = (name: string, hostName = "web-1") => ({
  host: host(hostName),
  containerId: `id-of-${name}`,
  containerName: name,
  stats: {
    cpuPercent: 12.345,
    memoryBytes: 1_610_612n,
    memoryLimitBytes: 16n * 1_024n ** 2n,
    networkReceivedBytes: 1_234n,
    networkSentBytes: 999n,
    blockReadBytes: 5_000_000n,
    pids: 3,
  },
});

const once = (answer: Once, asked: GetStatsRequest[] = []): Answers => ({
  stats: {
    getStats(request) {
      asked.push(request);
      return answer;
    },
  },
});

const head = "HOST    NAME   CPU %    MEM USAGE / LIMIT   MEM %   NET I/O         BLOCK I/O   PIDS\n";
const row = (name: string) =>
  `web-1   ${name}    12.35%   1.536MiB / 16MiB    9.60%   1.23kB / 999B   5MB / 0B    3\n`;

describe("figures on the command line", () => {
  afterEach(closeApis);

  it("O14 prints one table where there is no terminal, as docker shows figures", async () => {
    const asked: GetStatsRequest[] = [];
    const { code, stdout } = await fairlead(once({ containers: [sample("web")] }, asked), ["stats"]);
    assert.deepEqual([code, stdout], [0, `${head}${row("web")}`]);
    assert.equal(asked[0]?.selector?.includeStopped, false);
  });

  it("O14 looks up the containers that are named, and wants them also when they do not run", async () => {
    const asked: GetStatsRequest[] = [];
    const answers: Answers = {
      ...once({}, asked),
      containers: {
        getContainer: ({ container, host: on }) => ({
          container: { id: `${on}-${container}`, host: { id: "h1" } },
        }),
      },
    };
    await fairlead(answers, ["stats", "web-1/web", "db", "-l", "app"]);
    const { containers, hosts, labels, includeStopped } = asked[0]?.selector ?? {};
    assert.deepEqual([containers, hosts, labels], [["web-1-web", "-db"], ["h1"], ["app"]]);
    assert.equal(includeStopped, true);
  });

  it("O14 a host that cannot be asked is named, and the exit code says it", async () => {
    const failures = [{ host: host("web-2"), reason: "AGENT_OFFLINE", message: "it is not connected" }];
    const { code, stdout, stderr } = await fairlead(once({ containers: [sample("web")], failures }), [
      "stats",
    ]);
    assert.equal(code, 1);
    assert.match(stdout, /web-1/);
    assert.match(stderr, /^fairlead: web-2: it is not connected \(AGENT_OFFLINE\)/);
  });

  it("O14 prints one JSON document a line", async () => {
    const { stdout } = await fairlead(once({ containers: [sample("web"), sample("db")] }), [
      "stats",
      "--no-stream",
      "--json",
    ]);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      lines.map(({ containerName }) => containerName),
      ["web", "db"],
    );
  });

  it("O14 on a terminal the table takes its own place, until the person ends it", async () => {
    const ending = new AbortController();
    const moments: Moment[] = [
      {},
      { source: host("web-1"), containers: [sample("web")] },
      { source: host("web-1"), containers: [sample("api")] },
      { source: host("web-2"), failure: { host: host("web-2"), reason: "AGENT_OFFLINE", message: "gone" } },
    ];
    const answers: Answers = {
      stats: {
        async *streamStats() {
          for (const moment of moments) yield moment;
          setTimeout(() => ending.abort(new FleetError("CANCELLED", "enough")), 50);
          await new Promise(() => undefined);
        },
      },
    };
    const { code, stdout } = await fairlead(answers, ["stats"], {
      isTTY: true,
      env: { NO_COLOR: "1" },
      signal: ending.signal,
      clock: systemClock,
    });
    assert.equal(code, 0);
    assert.ok(stdout.startsWith("\u001b[2J\u001b[H"));
    const last = stdout.split("\u001b[H").at(-1)?.replaceAll("\u001b[K", "");
    assert.equal(last, `${head}${row("api")}web-2: gone (AGENT_OFFLINE)\n\u001b[J`);
  });

  it("D06 goes on after a lost connection, and not at once after a stream that was ended", async () => {
    const ending = new AbortController();
    const waits: number[] = [];
    let calls = 0;
    const answers: Answers = {
      stats: {
        async *streamStats() {
          calls += 1;
          yield { source: host("web-1"), containers: [sample(`web-${calls}`)] };
          if (calls === 1) throw new FleetError("DRAINING", "the control plane is going down");
        },
      },
    };
    const sleep = async (ms: number) => {
      waits.push(ms);
      if (waits.length === 2) ending.abort();
    };
    const { code, stdout } = await fairlead(answers, ["stats", "--json"], {
      signal: ending.signal,
      clock: { ...systemClock, sleep },
    });
    const names = stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { containerName: string }).containerName);
    assert.deepEqual([code, names, waits], [0, ["web-1", "web-2"], [2_000, 2_000]]);
  });
});
