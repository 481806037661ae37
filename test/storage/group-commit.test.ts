import assert from "node:assert/strict";
import { FleetError } from "../../src/domain/errors.ts";
import type { EventRecord } from "../../src/storage/records.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { killChildren, startChild } from "./child-process.ts";
import { commandId, commandRecord, newEvent } from "./sample-records.ts";
import { TemporaryStorage } from "./temporary-storage.ts";
import { commitsIn } from "./write-ahead-log.ts";

describe("group commit", () => {
  let files: TemporaryStorage;
  let storage: Storage;

  beforeEach(async () => {
    files = new TemporaryStorage();
    storage = await files.open();
  });
  afterEach(killChildren);
  afterEach(() => files.remove());

  it("C35 as many as wait while a transaction is written are the next one, up to 4,096", async () => {
    const before = commitsIn(files.path);
    const first = storage.commit({ commands: [commandRecord(0)] });
    await new Promise((resolve) => setImmediate(resolve));
    const rest = Array.from({ length: 4_000 }, (_, number) =>
      storage.commit({ commands: [commandRecord(number + 1)] }),
    );
    await Promise.all([first, ...rest]);
    assert.equal(commitsIn(files.path) - before, 2);
    assert.equal((await storage.commands.open()).length, 4_001);
  });

  it("C35 a burst of 1,000 commits in one tick is one transaction", async () => {
    const before = commitsIn(files.path);
    await Promise.all(
      Array.from({ length: 1_000 }, (_, number) =>
        storage.commit({
          commands: [commandRecord(number)],
          events: [newEvent({ commandId: commandId(number) })],
        }),
      ),
    );
    assert.equal(commitsIn(files.path) - before, 1);
    assert.equal((await storage.commands.open()).length, 1_000);
    assert.deepEqual(
      (await storage.events.list({ afterSequence: 0, limit: 2_000 })).map((event) => event.commandId),
      Array.from({ length: 1_000 }, (_, number) => commandId(number)),
    );
    await storage.commit({ commands: [commandRecord(2_000)] });
    assert.equal(commitsIn(files.path) - before, 2);
  });

  it("C35 of several records of one command in one tick the last one is kept, whole", async () => {
    const last = commandRecord(1, {
      state: "SUCCEEDED",
      changed: true,
      attempt: 2,
      sessionEpoch: 3,
      journalId: "cc",
      metadata: { a: "1" },
      message: "fine\0",
      dispatchTime: 1,
      acceptTime: 2,
      endTime: 3,
      payload: new Uint8Array(),
      outcome: new Uint8Array([9]),
      transitions: [{ state: "SUCCEEDED", time: 3, attempt: 2, sessionEpoch: 3 }],
    });
    await Promise.all([
      storage.commit({ commands: [commandRecord(1), commandRecord(1, { state: "DISPATCHED" })] }),
      storage.commit({ commands: [last] }),
    ]);
    assert.deepEqual(await storage.commands.get(commandId(1)), last);
    assert.deepEqual(await storage.commands.open(), []);
  });

  it("C35 an odd row fails alone; all others of its tick are stored in their order", async () => {
    const calls = Array.from({ length: 100 }, (_, number) =>
      storage.commit({
        commands: [commandRecord(number, number === 37 ? { timeoutMs: Number.NaN } : {})],
        events: [newEvent({ commandId: commandId(number) })],
      }),
    );
    const results = await Promise.allSettled(calls);
    const failed = results.flatMap((result, number) => (result.status === "rejected" ? [number] : []));
    assert.deepEqual(failed, [37]);
    await assert.rejects(calls[37] ?? Promise.resolve(), FleetError);
    assert.equal(storage.healthy(), true);
    const events = await storage.events.list({ afterSequence: 0, limit: 200 });
    assert.deepEqual(
      events.map((event) => event.commandId),
      Array.from({ length: 100 }, (_, number) => commandId(number)).toSpliced(37, 1),
    );
  });

  it("L03 listeners hear of every commit that stored events, after it, until they leave", async () => {
    const heard: EventRecord[][] = [];
    const leave = storage.onEvents((stored) => heard.push([...stored]));
    storage.onEvents(() => assert.fail("a listener that throws harms nobody"));
    await storage.commit({ events: [newEvent({ attributes: { a: "1" } }), newEvent({ actor: "ann" })] });
    await storage.commit({ commands: [commandRecord(1)] });
    await storage.commit({ events: [newEvent()] });
    leave();
    const all = await storage.events.list({ afterSequence: 0, limit: 9 });
    await storage.commit({ events: [newEvent()] });
    assert.deepEqual(heard, [all.slice(0, 2), all.slice(2)]);
  });

  it("C26 what was acknowledged is there after SIGKILL", async function () {
    this.timeout(60_000);
    for (let kill = 0; kill < 4; kill += 1) {
      const own = new TemporaryStorage();
      try {
        const child = startChild("commit-until-killed.ts", [own.path]);
        let acknowledged = Number(await child.line());
        setTimeout(() => child.process.kill("SIGKILL"), 20 + Math.random() * 80);
        for (let line = await child.line(); line !== undefined; line = await child.line()) {
          acknowledged = Number(line);
        }
        const again = await own.open();
        const stored = await again.commands.open();
        assert.ok(acknowledged >= 10);
        assert.ok(stored.length >= acknowledged, `${stored.length} of ${acknowledged}`);
        assert.equal(await again.events.newest(), stored.length);
        assert.deepEqual(
          stored.map(({ id }) => id),
          stored.map((_, index) => commandId(index + 1)),
        );
      } finally {
        await own.remove();
      }
    }
  });

  it("close waits for what was begun, and what comes later is refused", async () => {
    const begun = [storage.commit({ commands: [commandRecord(1)] }), storage.events.newest()];
    await storage.close();
    await Promise.all(begun);
    await assert.rejects(storage.commit({ commands: [commandRecord(2)] }), { reason: "STORAGE_UNAVAILABLE" });
    await assert.rejects(storage.fleet.all(), { reason: "STORAGE_UNAVAILABLE" });
    assert.equal(await storage.probe(), false);
    await storage.close();
    assert.equal((await (await files.open()).commands.open()).length, 1);
  });
});
