import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { LogRecord } from "../../../src/agent/engine/engine-streams.ts";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { floodLabel, floodLineLabel } from "../../../src/agent/engine/simulated-flood.ts";
import { SimulatedLog } from "../../../src/agent/engine/simulated-log.ts";
import { ContainerSpecSchema } from "../../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { oneByOne, wholeLog } from "../../support/engine-log-kit.ts";
import { refused, settled } from "../../support/engine-kit.ts";

const image = "nginx:1.29";

async function running(labels: Record<string, string>, command: string[] = []) {
  const engine = new SimulatedEngine({ clock: systemClock });
  const spec = create(ContainerSpecSchema, { image, labels, command });
  const id = await engine.createContainer("one", spec, neverAborted);
  await engine.startContainer(id, neverAborted);
  return { engine, id };
}

describe("agent/engine: simulated logs", () => {
  it("D02 a label makes a flood that a slow reader reads without a gap or a repeat, and that nobody holds", async () => {
    const { engine, id } = await running({ [floodLabel]: "100000000", [floodLineLabel]: "1000" });
    const lines: string[] = [];
    let bytes = 0;
    for await (const { data } of oneByOne(engine.logs(id, { ...wholeLog, follow: true }, neverAborted))) {
      lines.push(Buffer.from(data).toString("latin1", 0, 12));
      bytes += data.length;
      if (lines.length === 1000) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      } else if (lines.length === 5000) {
        break;
      }
    }
    assert.deepEqual(
      lines,
      lines.map((_, index) => `${index}`.padStart(12, "0")),
    );
    assert.equal(bytes, 5000 * 1000);
    assert.deepEqual(engine.open.logs, 0);
    await engine.stopContainer(id, 0, neverAborted);
    let last: LogRecord | undefined;
    for await (last of oneByOne(engine.logs(id, { ...wholeLog, follow: true, tail: 1 }, neverAborted)));
    assert.equal(last?.data.length, 1000, "a flood ends with its container");
    await engine.close();
  });

  it("O21 an engine that stops in the middle of a log is ENGINE_UNAVAILABLE", async () => {
    const { engine, id } = await running({}, ["sh", "-c", "echo one; sleep 600"]);
    await settled(async () => {
      const { done } = await engine.logs(id, wholeLog, neverAborted)[Symbol.asyncIterator]().next();
      return done !== true;
    });
    const reader = engine.logs(id, { ...wholeLog, follow: true }, neverAborted)[Symbol.asyncIterator]();
    await reader.next();
    const next = reader.next();
    engine.setAvailable(false);
    await refused(next, "ENGINE_UNAVAILABLE", "in the middle");
    await refused(
      engine.logs(id, wholeLog, neverAborted)[Symbol.asyncIterator]().next(),
      "ENGINE_UNAVAILABLE",
      "",
    );
    await engine.close();
  });

  it("O11 a log keeps a bounded number of bytes, and lets go of its oldest records", () => {
    const log = new SimulatedLog(() => 1n);
    const line = Buffer.from(`${"x".repeat(1023)}\n`);
    for (let round = 0; round < 10_000; round += 1) {
      log.write("stdout", line);
    }
    assert.equal(log.end(), 10_000);
    assert.ok(log.end() - log.first() <= 4096 && log.end() - log.first() > 1000);
    assert.equal(log.at(log.first() - 1), undefined);
    assert.ok((log.at(log.end() - 1)?.timeNs ?? 0n) > (log.at(log.end() - 2)?.timeNs ?? 0n));
  });
});
