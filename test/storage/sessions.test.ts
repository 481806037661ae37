import assert from "node:assert/strict";
import fc from "fast-check";
import type { Storage } from "../../src/storage/storage.ts";
import { enrolment, facts, now, sessionStart, tokenRecord } from "./sample-records.ts";
import { TemporaryStorage } from "./temporary-storage.ts";
import { commitsIn } from "./write-ahead-log.ts";

describe("sessions in the database", () => {
  let files: TemporaryStorage;
  let storage: Storage;

  beforeEach(async () => {
    files = new TemporaryStorage();
    storage = await files.open();
    await storage.tokens.create(tokenRecord("many", { maxUses: 10_000 }), []);
  });
  afterEach(() => files.remove());

  it("S04 every session has a larger epoch, also two of one tick, and one that must reach a minimum", async () => {
    await storage.fleet.enrol(enrolment("many", "1"));
    const both = await Promise.all([
      storage.fleet.beginSession("agent-1", sessionStart()),
      storage.fleet.beginSession("agent-1", sessionStart()),
    ]);
    const third = await storage.fleet.beginSession("agent-1", sessionStart({ minEpoch: 40 }));
    const fourth = await storage.fleet.beginSession("agent-1", sessionStart({ minEpoch: 7 }));
    assert.deepEqual(
      [...both, third, fourth].map((session) => session?.epoch),
      [1, 2, 40, 41],
    );
  });

  it("S05 the end of an older session changes nothing", async () => {
    await storage.fleet.enrol(enrolment("many", "1"));
    const older = await storage.fleet.beginSession("agent-1", sessionStart());
    const newer = await storage.fleet.beginSession("agent-1", sessionStart());
    assert.equal(await storage.fleet.endSession("agent-1", older?.epoch ?? 0, now + 5), false);
    assert.deepEqual(await storage.fleet.agent("agent-1"), newer?.host);
    assert.equal(await storage.fleet.endSession("agent-1", newer?.epoch ?? 0, now + 6), true);
    assert.equal(await storage.fleet.endSession("agent-1", newer?.epoch ?? 0, now + 7), false);
    const host = await storage.fleet.agent("agent-1");
    assert.deepEqual([host?.online, host?.lastSeenTime], [false, now + 6]);
  });

  it("S05 the agent is online exactly while its newest session lasts (100 random interleavings)", async function () {
    this.timeout(30_000);
    await storage.fleet.enrol(enrolment("many", "1"));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(fc.nat(3)), { maxLength: 8 }), async (steps) => {
        let newest = (await storage.fleet.agent("agent-1"))?.sessionEpoch ?? 0;
        let online = (await storage.fleet.agent("agent-1"))?.online;
        for (const age of steps) {
          if (age === null) {
            newest = (await storage.fleet.beginSession("agent-1", sessionStart()))?.epoch ?? 0;
            online = true;
          } else {
            const ended = await storage.fleet.endSession("agent-1", newest - age, now);
            assert.equal(ended, age === 0 && online);
            online &&= age !== 0;
          }
          assert.equal((await storage.fleet.agent("agent-1"))?.online, online);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("S06 a session is remembered, and after a restart every host is offline", async () => {
    await storage.fleet.enrol(enrolment("many", "1"));
    const start = sessionStart({
      facts: { ...facts, kernelVersion: "6.12" },
      instanceId: "0a",
      journalId: "0b",
    });
    await storage.fleet.beginSession("agent-1", start);
    await storage.close();
    const again = await files.open();
    const before = await again.fleet.agent("agent-1");
    assert.deepEqual(
      [
        before?.online,
        before?.facts.kernelVersion,
        before?.instanceId,
        before?.journalId,
        before?.connectTime,
      ],
      [true, "6.12", "0a", "0b", now],
    );
    await again.fleet.markAllOffline();
    assert.deepEqual(
      (await again.fleet.all()).map(({ online, sessionEpoch }) => [online, sessionEpoch]),
      [[false, 1]],
    );
  });

  it("S06 agents that are looked up at once are each found by their own id, and what is no id of one is not", async () => {
    const count = 20;
    for (let i = 0; i < count; i += 1) await storage.fleet.enrol(enrolment("many", `${i}`));
    const strange = ["agent-x", "", "agent-1\0", "agent-1' or '1'='1", "agent-1".padEnd(40)];
    const asked = [...Array.from({ length: count }, (_, i) => `agent-${i}`), ...strange, "agent-1"];
    const found = await Promise.all(asked.map((id) => storage.fleet.agent(id)));
    const expected = asked.map((id) => (strange.includes(id) ? undefined : id));
    assert.deepEqual(
      found.map((host) => host?.agentId),
      expected,
    );
  });

  it("a storm of sessions is written in few transactions", async function () {
    this.timeout(30_000);
    const agents = Array.from({ length: 300 }, (_, key) => `agent-${key}`);
    for (const key of agents.keys()) {
      await storage.fleet.enrol(enrolment("many", `${key}`));
    }
    const before = commitsIn(files.path);
    const begun = await Promise.all(agents.map((id) => storage.fleet.beginSession(id, sessionStart())));
    const ended = await Promise.all(agents.map((id) => storage.fleet.endSession(id, 1, now)));
    assert.ok(begun.every((session, key) => session?.epoch === 1 && session.host.agentId === `agent-${key}`));
    assert.ok(ended.every((yes) => yes));
    assert.equal(commitsIn(files.path) - before, 2);
  });

  it("O01 hosts are listed by name in pages without gap or repeat, and found by id or name", async () => {
    for (const key of ["c", "a", "d", "b"]) {
      await storage.fleet.enrol(enrolment("many", key));
    }
    const first = await storage.fleet.list(undefined, 3);
    const second = await storage.fleet.list(first.at(-1), 3);
    assert.deepEqual(
      [first, second].map((page) => page.map(({ name }) => name)),
      [["web-a", "web-b", "web-c"], ["web-d"]],
    );
    assert.equal((await storage.fleet.find("host-b"))?.name, "web-b");
    assert.equal((await storage.fleet.find("web-b"))?.id, "host-b");
    assert.equal(await storage.fleet.find("web"), undefined);
  });
});
