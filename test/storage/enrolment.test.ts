import assert from "node:assert/strict";
import type { Storage } from "../../src/storage/storage.ts";
import { killChildren, startChild } from "./child-process.ts";
import { enrolment, facts, hashOf, newEvent, now, sessionStart, tokenRecord } from "./sample-records.ts";
import { TemporaryStorage } from "./temporary-storage.ts";

describe("enrolment in the database", () => {
  let files: TemporaryStorage;
  let storage: Storage;

  beforeEach(async () => {
    files = new TemporaryStorage();
    storage = await files.open();
  });
  afterEach(killChildren);
  afterEach(() => files.remove());

  it("E03 of 20 concurrent calls with one single-use token exactly one is enrolled", async () => {
    await storage.tokens.create(tokenRecord("once"), []);
    const calls = Array.from({ length: 20 }, (_, key) => storage.fleet.enrol(enrolment("once", `${key}`)));
    const causes = (await Promise.all(calls)).map((result) =>
      result.kind === "enrolled" ? "enrolled" : result.cause,
    );
    assert.deepEqual(causes.toSorted(), [...Array(19).fill("USED_UP"), "enrolled"]);
    assert.equal((await storage.fleet.all()).length, 1);
    assert.equal((await storage.tokens.findByHash(hashOf("once")))?.useCount, 1);
    assert.equal(await storage.events.newest(), 1);
  });

  it("E03 of two processes that present one single-use token at the same instant exactly one is enrolled", async function () {
    this.timeout(30_000);
    const rounds = 15;
    for (let round = 0; round < rounds; round += 1) {
      await storage.tokens.create(tokenRecord(`once-${round}`), []);
    }
    const children = ["left", "right"].map((name) => startChild("enrol-on-command.ts", [files.path, name]));
    await Promise.all(children.map((child) => child.line()));
    for (let round = 0; round < rounds; round += 1) {
      for (const child of children) {
        child.process.stdin.write(`once-${round}\n`);
      }
      const results = await Promise.all(children.map((child) => child.line()));
      assert.deepEqual(new Set(results), new Set(["USED_UP", "enrolled"]), `round ${round}`);
    }
    for (const child of children) {
      child.process.stdin.end();
    }
    await Promise.all(children.map(({ ended }) => ended));
    assert.equal((await storage.fleet.all()).length, rounds);
  });

  it("E04 a process killed between insert and commit leaves neither host nor agent, and the token unused", async function () {
    this.timeout(30_000);
    await storage.tokens.create(tokenRecord("many", { maxUses: 1_000_000 }), []);
    const child = startChild("enrol-until-killed.ts", [files.path, "a", "between"]);
    assert.equal((await child.ended).signal, "SIGKILL");
    for (const table of ["host", "agent", "event"]) {
      assert.deepEqual(files.query(`select count(*) from ${table}`), [0], table);
    }
    assert.deepEqual(files.query("select use_count from registration_token"), [0]);
  });

  it("E04 host, agent, use and event appear together or not at all, whenever the process is killed", async function () {
    this.timeout(60_000);
    await storage.tokens.create(tokenRecord("many", { maxUses: 1_000_000 }), []);
    for (let kill = 0; kill < 6; kill += 1) {
      const child = startChild("enrol-until-killed.ts", [files.path, `${kill}`]);
      await child.line();
      setTimeout(() => child.process.kill("SIGKILL"), Math.random() * 60);
      assert.equal((await child.ended).signal, "SIGKILL");
      const [hosts = 0] = files.query("select count(*) from host");
      assert.ok(Number(hosts) > kill);
      assert.deepEqual(files.query("select count(*) from agent"), [hosts]);
      assert.deepEqual(files.query("select count(*) from event"), [hosts]);
      assert.deepEqual(files.query("select use_count from registration_token"), [hosts]);
    }
  });

  it("E02 an unknown, expired, used-up or revoked token is refused with its own cause, and nothing changes", async () => {
    await storage.tokens.create(tokenRecord("expired", { expireTime: now }), []);
    await storage.tokens.create(tokenRecord("used", { useCount: 1 }), []);
    await storage.tokens.create(tokenRecord("revoked", { revokeTime: now - 1 }), []);
    const causes = [];
    for (const id of ["unknown", "expired", "used", "revoked"]) {
      const result = await storage.fleet.enrol(enrolment(id, id));
      causes.push(result.kind === "refused" && [result.cause, result.token?.id]);
    }
    assert.deepEqual(causes, [
      ["UNKNOWN", undefined],
      ["EXPIRED", "expired"],
      ["USED_UP", "used"],
      ["REVOKED", "revoked"],
    ]);
    assert.equal((await storage.tokens.findByHash(hashOf("expired")))?.useCount, 0);
    assert.deepEqual([await storage.fleet.all(), await storage.events.newest()], [[], 0]);
  });

  it("E11 a known engine id is refused with the host that has it, and the token stays unused", async () => {
    await storage.tokens.create(tokenRecord("many", { maxUses: 2 }), []);
    await storage.fleet.enrol(enrolment("many", "1"));
    const clone = enrolment("many", "2");
    const result = await storage.fleet.enrol({ ...clone, host: { ...clone.host, engineId: "engine-1" } });
    assert.ok(result.kind === "refused");
    assert.deepEqual([result.cause, result.existing?.id], ["ENGINE_KNOWN", "host-1"]);
    assert.equal((await storage.tokens.findByHash(hashOf("many")))?.useCount, 1);
  });

  it("E11 unique_by_name allows a known engine id, and needs a name that is free", async () => {
    await storage.tokens.create(tokenRecord("many", { maxUses: 9 }), []);
    await storage.fleet.enrol(enrolment("many", "1"));
    const clone = (key: string, name: string, nameWanted: boolean) => {
      const base = enrolment("many", key, { uniqueByName: true, nameWanted });
      return storage.fleet.enrol({ ...base, host: { ...base.host, name, engineId: "engine-1" } });
    };
    const results = [
      await clone("2", "web", false),
      await clone("3", "web-1", true),
      await clone("4", "other", true),
    ];
    assert.deepEqual(
      results.map((result) => (result.kind === "refused" ? result.cause : result.host.name)),
      ["NAME_REQUIRED", "NAME_IN_USE", "other"],
    );
    assert.equal((await storage.tokens.findByHash(hashOf("many")))?.useCount, 2);
  });

  it("E12 hosts with one name are all enrolled, with distinct display names of at most 63 characters", async () => {
    await storage.tokens.create(tokenRecord("many", { maxUses: 99 }), []);
    const names = [];
    for (const [index, name] of ["web", "web", "web_", "web", "w".repeat(63), "w".repeat(63)].entries()) {
      const base = enrolment("many", `${index}`);
      const result = await storage.fleet.enrol({ ...base, host: { ...base.host, name } });
      names.push(result.kind === "enrolled" && result.host.name);
    }
    assert.deepEqual(names, ["web", "web-2", "web_", "web-3", "w".repeat(63), `${"w".repeat(61)}-2`]);
  });

  it("E14 a deleted host is gone with its agent, and can be enrolled again", async () => {
    await storage.tokens.create(tokenRecord("many", { maxUses: 2 }), []);
    await storage.fleet.enrol(enrolment("many", "1"));
    assert.equal(await storage.fleet.remove("host-1", [newEvent({ type: 7 })]), true);
    assert.equal(await storage.fleet.remove("host-1", [newEvent({ type: 7 })]), false);
    assert.equal(await storage.fleet.agent("agent-1"), undefined);
    assert.equal(await storage.fleet.beginSession("agent-1", sessionStart()), undefined);
    assert.deepEqual(
      (await storage.events.list({ afterSequence: 0, limit: 9 })).map(({ type }) => type),
      [6, 7],
    );
    assert.equal((await storage.fleet.enrol(enrolment("many", "1"))).kind, "enrolled");
  });

  it("V03 what an agent reports is stored as it is, and looked for as it is", async () => {
    await storage.tokens.create(tokenRecord("once"), []);
    const odd = "'; drop table host; --\u0000<b>\u001b[31m\\\"";
    const base = enrolment("once", "1");
    const host = { ...base.host, agentVersion: odd, facts: { ...facts, hostname: odd } };
    await storage.fleet.enrol({ ...base, host });
    const stored = await storage.fleet.agent("agent-1");
    assert.deepEqual([stored?.agentVersion, stored?.facts.hostname], [odd, odd]);
    assert.equal(await storage.fleet.find(odd), undefined);
    assert.equal(await storage.fleet.find("x' or 1=1 --"), undefined);
    assert.equal(await storage.commands.get("\0"), undefined);
  });

  it("E17 tokens are listed newest first in pages, and revoked once", async () => {
    for (let number = 1; number <= 5; number += 1) {
      await storage.tokens.create(tokenRecord(`t${number}`, { createTime: now + (number >> 1) }), []);
    }
    const first = await storage.tokens.list(undefined, 2);
    const second = await storage.tokens.list(first.at(-1), 9);
    assert.deepEqual(
      [...first, ...second].map(({ id }) => id),
      ["t5", "t4", "t3", "t2", "t1"],
    );
    assert.equal((await storage.tokens.revoke("t1", now + 1, revoked))?.revokeTime, now + 1);
    assert.equal((await storage.tokens.revoke("t1", now + 2, revoked))?.revokeTime, now + 1);
    assert.equal(await storage.tokens.revoke("none", now, revoked), undefined);
    assert.equal(await storage.events.newest(), 1);
  });
});

function revoked() {
  return [newEvent({ type: 3 })];
}
