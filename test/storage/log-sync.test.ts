import assert from "node:assert/strict";
import { open } from "node:fs/promises";
import { restore, stub, type SinonStub } from "sinon";
import { Database } from "../../src/storage/database.ts";
import { openOrm } from "../../src/storage/open-orm.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { commandRecord, newEvent } from "./sample-records.ts";
import { silent, TemporaryStorage } from "./temporary-storage.ts";

interface Syncing {
  datasync(): Promise<void>;
}

describe("the sync of the log apart from the event loop", () => {
  let files: TemporaryStorage;
  let storage: Storage;
  let datasync: SinonStub<[], Promise<void>>;

  beforeEach(async () => {
    files = new TemporaryStorage();
    storage = await files.open();
    const handle = await open(files.path);
    datasync = stub(Object.getPrototypeOf(handle) as Syncing, "datasync");
    await handle.close();
  });
  afterEach(async () => {
    restore();
    await files.remove();
  });

  it("C40 events alone are told of, and seen, when the disk has written them and not before", async () => {
    const disk = Promise.withResolvers<void>();
    datasync.returns(disk.promise);
    const told: string[] = [];
    storage.onEvents(() => told.push("the listener"));
    const calls = [
      storage.commit({ events: [newEvent()] }).then(() => told.push("the caller")),
      storage.events.list({ afterSequence: 0, limit: 9 }).then(() => told.push("the log as it was before")),
    ];
    while (!datasync.called) await new Promise((resolve) => setImmediate(resolve));
    calls.push(storage.events.list({ afterSequence: 0, limit: 9 }).then(() => told.push("the log")));
    // The event loop goes round meanwhile.
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(told, ["the log as it was before"]);
    disk.resolve();
    await Promise.all(calls);
    assert.deepEqual(told.toSorted(), ["the caller", "the listener", "the log", "the log as it was before"]);
  });

  it("C40 commands wait for the disk in place, also a thousand beside as many events", async () => {
    datasync.rejects(new Error("is not asked"));
    await storage.commit({ commands: [commandRecord(1)], events: [newEvent()] });
    const numbers = Array.from({ length: 1_000 }, (_, index) => index + 2);
    await Promise.all(
      numbers.flatMap((number) => [
        storage.commit({ commands: [commandRecord(number)] }),
        storage.commit({ events: [newEvent()] }),
      ]),
    );
    assert.equal(datasync.callCount, 0);
  });

  it("C36 a disk that does not write fails events with a clear reason, and it recovers by itself", async () => {
    datasync.onFirstCall().rejects(Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" }));
    datasync.onSecondCall().resolves();
    await assert.rejects(storage.commit({ events: [newEvent()] }), { reason: "STORAGE_UNAVAILABLE" });
    assert.equal(storage.healthy(), false);
    await storage.commit({ events: [newEvent()] });
    assert.equal(storage.healthy(), true);
  });

  it("C40 every other transaction is written through as before, also after one that failed", async () => {
    datasync.resolves();
    const orm = await openOrm(files.path);
    const database = new Database(orm, silent);
    const mode = async () => Object.values((await orm.em.execute("pragma synchronous"))[0] ?? {})[0];
    const full = 2;
    await database.transact(({ insertEvents }) => insertEvents([newEvent()]), "apart");
    assert.equal(datasync.callCount, 1);
    assert.equal(await mode(), full);
    const failing = database.transact(() => Promise.reject(new Error("of the work")), "apart");
    await assert.rejects(failing, /of the work/);
    assert.equal(await mode(), full);
    await database.close();
  });
});
