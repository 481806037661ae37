import assert from "node:assert/strict";
import { usageFromDocker } from "../../../src/agent/engine/docker-usage.ts";

const read = "2026-01-02T03:04:05.678901234Z";

const memory = (stats: Record<string, number>) =>
  usageFromDocker({ read, memory_stats: { usage: 1_000, limit: 4_000, stats } })?.memoryBytes;

describe("what Docker says that a container uses", () => {
  it("O14 memory is without the page cache that can be given back, of both versions of control groups", () => {
    assert.equal(memory({ total_inactive_file: 300, inactive_file: 1 }), 700n);
    assert.equal(memory({ inactive_file: 400 }), 600n);
    assert.equal(memory({ total_inactive_file: 2_000 }), 1_000n, "more than there is counts for nothing");
    assert.equal(memory({}), 1_000n);
  });

  it("O14 networks and devices are summed, however an engine writes the operations", () => {
    const usage = usageFromDocker({
      read,
      networks: { eth0: { rx_bytes: 1, tx_bytes: 10 }, eth1: { rx_bytes: 2, tx_bytes: 20 } },
      blkio_stats: {
        io_service_bytes_recursive: [
          { op: "Read", value: 100 },
          { op: "Write", value: 200 },
          { op: "Total", value: 300 },
          { op: "read", value: 1 },
          { op: "write", value: 2 },
        ],
      },
    });
    assert.deepEqual(
      [usage?.networkReceivedBytes, usage?.networkSentBytes, usage?.blockReadBytes, usage?.blockWrittenBytes],
      [3n, 30n, 101n, 202n],
    );
  });

  it("O14 processors are counted as the engine says, or by their times", () => {
    assert.equal(usageFromDocker({ read, cpu_stats: { online_cpus: 8 } })?.cpuCount, 8);
    const cpu = { cpu_usage: { total_usage: 5, percpu_usage: [1, 4] }, system_cpu_usage: 9 };
    const usage = usageFromDocker({ read, cpu_stats: cpu });
    assert.deepEqual([usage?.cpuCount, usage?.cpuTotalNs, usage?.cpuSystemNs], [2, 5n, 9n]);
  });

  it("O14 one that does not run has no use, and numbers that cannot be are none", () => {
    assert.equal(usageFromDocker({ read: "0001-01-01T00:00:00Z" }), undefined);
    assert.equal(usageFromDocker({}), undefined);
    const odd = usageFromDocker({ read, memory_stats: { usage: -5, limit: 1e30, stats: null } });
    assert.deepEqual([odd?.memoryBytes, odd?.memoryLimitBytes, odd?.pids], [0n, 2n ** 64n - 1n, 0]);
  });
});
