import assert from "node:assert/strict";
import type { Storage } from "../../src/storage/storage.ts";
import { enrolment, facts, sessionStart, tokenRecord } from "./sample-records.ts";
import { TemporaryStorage } from "./temporary-storage.ts";

const policy = { readOnly: true, digest: "ab".repeat(32), summary: ["read_only: true"], problem: "" };

describe("policies of hosts in the database", () => {
  let files: TemporaryStorage;
  let storage: Storage;

  beforeEach(async () => {
    files = new TemporaryStorage();
    storage = await files.open();
    await storage.tokens.create(tokenRecord("many", { maxUses: 10_000 }), []);
    await storage.fleet.enrol(enrolment("many", "1"));
  });
  afterEach(() => files.remove());

  it("policy: is kept beside the other facts until the next session, told by the session that counts only", async () => {
    await storage.fleet.beginSession("agent-1", sessionStart());
    const newer = await storage.fleet.beginSession("agent-1", sessionStart({ facts }));
    const epoch = newer?.epoch ?? 0;
    assert.equal(await storage.fleet.keepPolicy("agent-1", epoch - 1, policy), false);
    assert.deepEqual((await storage.fleet.agent("agent-1"))?.facts, facts);
    assert.equal(await storage.fleet.keepPolicy("agent-1", epoch, policy), true);
    assert.deepEqual(await storage.fleet.agent("agent-1"), { ...newer?.host, facts: { ...facts, policy } });
    await storage.fleet.beginSession("agent-1", sessionStart({ facts }));
    assert.deepEqual((await storage.fleet.agent("agent-1"))?.facts, facts);
  });

  it("policy: of a host that was deleted meanwhile changes nothing", async () => {
    assert.equal(await storage.fleet.keepPolicy("agent-2", 1, policy), false);
    assert.equal(await storage.fleet.keepPolicy("agent\u0000", 1, policy), false);
  });
});
