import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FleetError } from "../../../src/domain/errors.ts";
import { AgentHarness } from "../../support/agent-harness.ts";
import { eventually } from "../../support/fake-control-plane.ts";

describe("the identity of an agent", () => {
  let harness: AgentHarness;
  beforeEach(() => {
    harness = new AgentHarness();
  });
  afterEach(() => harness.close());

  it("E06 the key is in a file for its owner alone, and neither the wire nor the log ever sees it", async () => {
    const plane = await harness.controlPlane();
    const dataDir = join(await harness.folder(), "made", "here");
    const agent = await harness.agent({ server: plane.address, dataDir });
    await agent.ready;
    assert.equal((await stat(dataDir)).mode & 0o777, 0o700);
    assert.equal((await stat(join(dataDir, "agent.json"))).mode & 0o777, 0o600);
    assert.ok((await readdir(dataDir)).every((name) => !name.endsWith(".tmp")));
    const stored = await storedIn(dataDir);
    assert.equal(stored.agentId, "agent-1");
    assert.equal(stored.hostId, "host-1");
    const secret = Buffer.from(
      createPrivateKey(stored.privateKey).export({ format: "jwk" }).d ?? "",
      "base64url",
    );
    assert.equal(secret.byteLength, 32);
    const session = await plane.session();
    assert.ok(session.messages.length > 0);
    for (const message of session.messages) assert.ok(!message.includes(secret));
    assert.ok(!JSON.stringify(harness.lines).includes(stored.privateKey.split("\n")[1] ?? ""));
  });

  it("E06 a data folder that cannot be written is a clear error, before anything is sent", async () => {
    const plane = await harness.controlPlane();
    const file = join(await harness.folder(), "file");
    await writeFile(file, "");
    const started = harness.agent({ server: plane.address, dataDir: join(file, "below") });
    await assert.rejects(started, {
      reason: "STORAGE_UNAVAILABLE",
      message: /data folder .* cannot be used/,
    });
    assert.equal(plane.sessions.length, 0);
  });

  it("E06 a file that others may read is closed to them, with a warning", async () => {
    const plane = await harness.controlPlane();
    const dataDir = await harness.folder();
    const first = await harness.agent({ server: plane.address, dataDir });
    await first.ready;
    await first.close();
    await chmod(join(dataDir, "agent.json"), 0o644);
    await harness.agent({ server: plane.address, dataDir });
    assert.equal((await stat(join(dataDir, "agent.json"))).mode & 0o777, 0o600);
    assert.ok(harness.lines.some(({ msg }) => String(msg).includes("open to others")));
  });

  it("E06 the key is kept before the first contact: a registration that was cut off is tried again with it", async () => {
    const seen: string[] = [];
    let isOpen = false;
    const plane = await harness.controlPlane({
      welcome: ({ identity }) => {
        if (identity.case !== "registration") throw new Error("a registration was due");
        seen.push(Buffer.from(identity.value.publicKey).toString("hex"));
        if (!isOpen) throw new FleetError("OVERLOADED", "cut off");
        return {};
      },
    });
    const dataDir = await harness.folder();
    const first = await harness.agent({ server: plane.address, dataDir });
    await eventually("the first try", () => seen[0]);
    assert.equal((await storedIn(dataDir)).agentId, "");
    await first.close();
    isOpen = true;
    await (await harness.agent({ server: plane.address, dataDir })).ready;
    assert.ok(seen.length >= 2);
    assert.equal(new Set(seen).size, 1);
  });

  it("E06 ids that could not be written are not lost: the next session comes with them and writes them", async () => {
    const dataDir = await harness.folder();
    const plane = await harness.controlPlane({
      welcome: (_hello, number) => {
        // The file cannot be replaced by another one while a folder has its name.
        if (number === 1) replaceByFolder(join(dataDir, "agent.json"));
        return {};
      },
    });
    await harness.agent({ server: plane.address, dataDir });
    await eventually("the failure", () =>
      harness.lines.find(({ reason }) => reason === "STORAGE_UNAVAILABLE"),
    );
    rmSync(join(dataDir, "agent.json"), { recursive: true, force: true });
    const again = await plane.session(2);
    assert.equal(again.hello.identity.case, "reconnection");
    await eventually("the file", () => (existsSync(join(dataDir, "agent.json")) ? true : undefined));
    assert.equal((await storedIn(dataDir)).agentId, "agent-1");
  });

  it("a damaged file is a clear error that does not quote it", async () => {
    const dataDir = await harness.folder();
    await writeFile(join(dataDir, "agent.json"), '{"privateKey": "SECRET', { mode: 0o600 });
    await assert.rejects(harness.agent({ server: "127.0.0.1:1", dataDir }), (error) => {
      assert.ok(error instanceof FleetError);
      assert.equal(error.reason, "STORAGE_UNAVAILABLE");
      assert.match(error.message, /damaged/);
      assert.ok(!`${error.message}${String(error.cause)}`.includes("SECRET"));
      return true;
    });
  });
});

function replaceByFolder(path: string): void {
  rmSync(path);
  mkdirSync(join(path, "in-the-way"), { recursive: true });
}

async function storedIn(dataDir: string) {
  const text = await readFile(join(dataDir, "agent.json"), "utf8");
  return JSON.parse(text) as { agentId: string; hostId: string; privateKey: string };
}
