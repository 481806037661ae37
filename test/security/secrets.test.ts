import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { startAgent } from "../../src/agent/agent.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { eventually, testControlPlane } from "../support/control-plane-harness.ts";

/** Every file below a folder, as bytes that a text can be looked for in. */
async function contents(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => readFile(join(entry.parentPath, entry.name), "latin1")),
  );
}

describe("secrets of containers", () => {
  it("V11 an environment value, or what a process reads and writes, is in no log and no event of either side, nor in a file of either soon after its command has ended, also when its command fails", async () => {
    const secret = "correct-horse-battery-staple";
    await using plane = await testControlPlane({ retention: { intervalMs: 100 } });
    const dataDir = await mkdtemp(join(tmpdir(), "fairlead-secrets-"));
    const lines: string[] = [];
    const agent = await startAgent({
      server: plane.agentsServer,
      token: await plane.controlPlane.createToken("secrets"),
      dataDir,
      engine: new SimulatedEngine({ clock: systemClock, images: ["app:1"] }),
      logger: pino({ level: "trace" }, { write: (line: string) => void lines.push(line) }),
    });
    await agent.ready;
    const containers = plane.client(ContainerService);
    const spec = { image: "app:1", environment: { PASSWORD: secret } };
    await containers.createContainer({ name: "good", spec, start: true });
    // So long that it fills pages of its own.
    const long = { image: "app:1", environment: { PASSWORD: secret.repeat(1_000) } };
    await containers.createContainer({ name: "long", spec: long });
    await assert.rejects(containers.createContainer({ name: "good", spec }));
    await assert.rejects(containers.createContainer({ name: "bad", spec: { ...spec, image: "none:1" } }));
    const exec = { command: ["sh", "-c", `cat; echo ${secret}`], environment: { PASSWORD: secret } };
    const { result } = await containers.runExec({ container: "good", exec, stdin: Buffer.from(secret) });
    assert.equal(Buffer.from(result?.stdout ?? []).toString(), `${secret}${secret}\n`);
    await assert.rejects(containers.runExec({ container: "long", exec }), "it does not run");
    const { engineJson } = await containers.inspectContainer({ container: "good" });
    assert.ok(engineJson.includes(secret), "whoever may inspect is told by the engine");
    const { events } = await plane.client(EventService).listEvents({});
    assert.ok(events.length > 5);
    const told = JSON.stringify(events, (_key, value: unknown) =>
      typeof value === "bigint" ? `${value}` : value,
    );
    await agent.close();
    for (const text of [...plane.logLines, ...lines, told, ...(await contents(dataDir))]) {
      assert.ok(!text.includes(secret), `a secret in: ${text.slice(0, 200)}`);
    }
    const kept = async () => (await contents(plane.dataDir)).filter((text) => text.includes(secret)).length;
    await eventually(async () => (await kept()) === 0, "the control plane's files have forgotten the secret");
    await rm(dataDir, { recursive: true });
  });
});
