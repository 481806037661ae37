import assert from "node:assert/strict";
import type { Storage } from "../../src/storage/storage.ts";
import { enrolment, hashOf, newEvent, now, tokenRecord } from "./sample-records.ts";
import { TemporaryStorage } from "./temporary-storage.ts";

const dayMs = 24 * 3_600_000;

const ban = (engineId: string) => ({ engineId, hostName: "web", bannedBy: "somebody", banTime: now });

describe("agents and bans in the database", () => {
  let files: TemporaryStorage;
  let storage: Storage;

  beforeEach(async () => {
    files = new TemporaryStorage();
    storage = await files.open();
  });
  afterEach(() => files.remove());

  it("E01 the key that used a token is answered again until the token expires and for a day in any case", async () => {
    await storage.tokens.create(tokenRecord("once"), []);
    const first = await storage.fleet.enrol(enrolment("once", "a"));
    assert.equal(first.kind === "enrolled" && first.manner, "new");
    const again = (at: number) =>
      storage.fleet.enrol({
        ...enrolment("once", "a"),
        now: at,
        agent: { id: "other", publicKey: hashOf("key-a") },
      });
    const repeated = await again(now + dayMs - 1);
    assert.ok(repeated.kind === "enrolled" && repeated.manner === "repeated");
    assert.deepEqual([repeated.host.agentId, repeated.token.useCount], ["agent-a", 1]);
    assert.partialDeepStrictEqual({ ...(await again(now + dayMs)) }, { kind: "refused", cause: "EXPIRED" });
  });

  it("E01 the key that used a token of many days is answered again as long as the token lives", async () => {
    await storage.tokens.create({ ...tokenRecord("long"), expireTime: now + 5 * dayMs }, []);
    await storage.fleet.enrol(enrolment("long", "a"));
    const again = await storage.fleet.enrol({
      ...enrolment("long", "a"),
      now: now + 4 * dayMs,
      agent: { id: "other", publicKey: hashOf("key-a") },
    });
    assert.equal(again.kind === "enrolled" && again.manner, "repeated");
  });

  it("E15 a key is changed only from the one that the agent has", async () => {
    await storage.tokens.create(tokenRecord("once"), []);
    await storage.fleet.enrol(enrolment("once", "a"));
    const change = { from: hashOf("key-a"), to: hashOf("key-b") };
    const before = await storage.events.newest();
    assert.equal(await storage.fleet.changeKey("agent-a", change, [newEvent({ type: 38 })]), true);
    assert.equal(await storage.fleet.changeKey("agent-a", change, [newEvent({ type: 38 })]), false);
    assert.equal(await storage.events.newest(), before + 1);
    assert.deepEqual(
      Buffer.from((await storage.fleet.agent("agent-a"))?.publicKey ?? []),
      Buffer.from(hashOf("key-b")),
    );
  });

  it("E13 bans are listed in pages, and each is lifted once", async () => {
    for (const key of ["a", "b", "c"]) {
      await storage.tokens.create(tokenRecord(key), []);
      await storage.fleet.enrol(enrolment(key, key));
      assert.equal(await storage.fleet.remove(`host-${key}`, [], ban(`engine-${key}`)), true);
    }
    assert.equal(await storage.fleet.remove("host-a", [], ban("engine-x")), false);
    const page = await storage.fleet.bans(undefined, 2);
    assert.deepEqual(page, [ban("engine-a"), ban("engine-b")]);
    assert.deepEqual(await storage.fleet.bans("engine-b", 2), [ban("engine-c")]);
    assert.deepEqual(await storage.fleet.liftBan("engine-b", () => []), ban("engine-b"));
    assert.equal(await storage.fleet.liftBan("engine-b", () => []), undefined);
  });
});
