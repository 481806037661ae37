import assert from "node:assert/strict";
import { pino } from "pino";
import { openEngine } from "../../../src/agent/engine/open-engine.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { type Clock, systemClock } from "../../../src/resilience/clock.ts";
import { startFakeDocker } from "../../support/fake-docker.ts";
import { refused } from "../../support/engine-kit.ts";
import { silentLogger } from "../../support/silent-logger.ts";

const base = { clock: systemClock, logger: silentLogger, signal: neverAborted } as const;

describe("agent/engine: opening an engine", () => {
  it("O20 auto takes Docker when it answers", async () => {
    const fake = await startFakeDocker((_, response) => response.end('{"ID":"one"}'));
    const engine = await openEngine({ ...base, kind: "auto", dockerHost: `unix://${fake.path}` });
    assert.equal(engine.kind, "docker");
    await engine.close();
    await fake.close();
  });

  it("O20 auto says plainly that it simulates when Docker does not answer", async () => {
    const lines: string[] = [];
    const logger = pino({}, { write: (line: string) => lines.push(line) });
    const engine = await openEngine({
      ...base,
      kind: "auto",
      dockerHost: "unix:///nonexistent.sock",
      logger,
    });
    assert.equal(engine.kind, "simulated");
    assert.equal((await engine.facts(neverAborted)).simulated, true);
    assert.match(lines.join(), /SIMULATED and nothing on this machine is really managed/);
    await engine.close();
  });

  it("O20 auto waits three seconds for an engine that hangs, and no longer", async () => {
    const fake = await startFakeDocker(() => {});
    const slept: number[] = [];
    const clock: Clock = {
      ...systemClock,
      sleep: (ms, signal) => {
        slept.push(ms);
        return systemClock.sleep(ms / 100, signal);
      },
    };
    const engine = await openEngine({ ...base, kind: "auto", dockerHost: `unix://${fake.path}`, clock });
    assert.equal(engine.kind, "simulated");
    assert.deepEqual(slept, [3000]);
    await engine.close();
    await fake.close();
  });

  it("O20 an abort ends the search of auto", async () => {
    const fake = await startFakeDocker(() => {});
    const controller = new AbortController();
    const reason = new Error("never mind");
    const { signal } = controller;
    const opening = openEngine({ ...base, kind: "auto", dockerHost: `unix://${fake.path}`, signal });
    setTimeout(() => controller.abort(reason), 30);
    await assert.rejects(opening, reason);
    await fake.close();
  });

  it("O21 docker does not wait for an engine that is down, but refuses a host that makes no sense", async () => {
    const engine = await openEngine({ ...base, kind: "docker", dockerHost: "unix:///nonexistent.sock" });
    await refused(engine.facts(neverAborted), "ENGINE_UNAVAILABLE", "/nonexistent.sock");
    await engine.close();
    await refused(
      openEngine({ ...base, kind: "docker", dockerHost: "ftp://x" }),
      "INVALID_ARGUMENT",
      "ftp://x",
    );
  });

  it("O20 a simulated one is populated, and is the same host again with the same id", async () => {
    const simulated = { containers: 10, engineId: "my-host" };
    const engine = await openEngine({ ...base, kind: "simulated", simulated });
    const list = await engine.listContainers(neverAborted);
    assert.equal(list.length, 10);
    assert.equal(new Set(list.map(({ name }) => name)).size, 10);
    assert.equal((await engine.facts(neverAborted)).engineId, "my-host");
    await engine.close();
  });
});
