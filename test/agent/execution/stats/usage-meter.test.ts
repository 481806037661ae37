import assert from "node:assert/strict";
import type { ContainerUsage, HostUsage } from "../../../../src/agent/engine/engine-usage.ts";
import { UsageMeter } from "../../../../src/agent/execution/stats/usage-meter.ts";

const second = 1_000_000_000n;

const usage = (more: Partial<ContainerUsage>): ContainerUsage => ({
  timeMs: 1_000,
  cpuTotalNs: 0n,
  cpuSystemNs: 100n * second,
  cpuCount: 4,
  memoryBytes: 5n,
  memoryLimitBytes: 10n,
  networkReceivedBytes: 1n,
  networkSentBytes: 2n,
  blockReadBytes: 3n,
  blockWrittenBytes: 4n,
  pids: 7,
  ...more,
});

const percentOf = (before: Partial<ContainerUsage>, after: Partial<ContainerUsage>) => {
  const meter = new UsageMeter();
  meter.containers(new Map([["a", usage(before)]]));
  return meter.containers(new Map([["a", usage(after)]])).get("a")?.cpuPercent;
};

describe("figures made of readings", () => {
  it("O14 processor use is the share of all processors' time, times their number", () => {
    // In one second of four processors, one and a half were used.
    assert.equal(percentOf({}, { cpuTotalNs: (second * 3n) / 2n, cpuSystemNs: 104n * second }), 150);
  });

  it("O14 where the engine does not tell of the host's time, the clock's is taken", () => {
    assert.equal(
      percentOf({ cpuSystemNs: 0n }, { cpuSystemNs: 0n, cpuTotalNs: second / 4n, timeMs: 2_000 }),
      25,
    );
  });

  it("O14 a counter that went back, with a container that was started again, is no use at all", () => {
    assert.equal(percentOf({ cpuTotalNs: second }, { cpuTotalNs: 1n, cpuSystemNs: 104n * second }), 0);
    assert.equal(percentOf({}, { cpuTotalNs: 1n }), 0, "two readings of one moment");
  });

  it("O14 what was not read the time before has no figures yet, and what ends is forgotten", () => {
    const meter = new UsageMeter();
    assert.equal(meter.containers(new Map([["a", usage({})]])).size, 0);
    assert.deepEqual([...meter.containers(new Map([["b", usage({})]])).keys()], []);
    assert.deepEqual(
      [
        ...meter
          .containers(
            new Map([
              ["a", usage({})],
              ["b", usage({ pids: 9 })],
            ]),
          )
          .values(),
      ].map(({ pids }) => pids),
      [9],
    );
  });

  it("O14 a host's figures need two readings too", () => {
    const meter = new UsageMeter();
    const reading: HostUsage = {
      timeMs: 0,
      cpuBusyMs: 100,
      cpuTotalMs: 1_000,
      cpuCount: 2,
      loadAverage: 0.5,
      memoryBytes: 1n,
      memoryTotalBytes: 2n,
      diskBytes: 3n,
      diskTotalBytes: 4n,
    };
    assert.equal(meter.host(reading), undefined);
    const figures = meter.host({ ...reading, cpuBusyMs: 600, cpuTotalMs: 3_000 });
    assert.deepEqual([figures?.cpuPercent, figures?.diskTotalBytes], [50, 4n]);
  });
});
