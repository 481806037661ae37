import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { openOrm } from "../../src/storage/open-orm.ts";
import { OrmStorage } from "../../src/storage/orm-storage.ts";
import { killChildren, startChild } from "./child-process.ts";
import { commandRecord, tokenRecord } from "./sample-records.ts";
import { silent, TemporaryStorage } from "./temporary-storage.ts";
import { requireTool } from "../support/require-tool.ts";

describe("the database file", () => {
  let files: TemporaryStorage;

  beforeEach(() => {
    files = new TemporaryStorage();
  });
  afterEach(killChildren);
  afterEach(() => files.remove());

  it("is made with its folder for their owner alone, with its side files", async () => {
    await files.open();
    const modes = [dirname(files.path), files.path, `${files.path}-wal`, `${files.path}-shm`].map((path) =>
      (statSync(path).mode & 0o777).toString(8),
    );
    assert.deepEqual(modes, ["700", "600", "600", "600"]);
  });

  it("is closed to others when it was open to them", async () => {
    await (await files.open()).close();
    chmodSync(files.path, 0o644);
    await files.open();
    assert.equal(statSync(files.path).mode & 0o777, 0o600);
  });

  it("C40 is written through to the disk at each commit", async () => {
    const orm = await openOrm(files.path);
    const pragma = async (name: string) =>
      Object.values((await orm.em.execute(`pragma ${name}`))[0] ?? {})[0];
    const values = [];
    for (const name of ["journal_mode", "synchronous", "foreign_keys", "busy_timeout"]) {
      values.push(await pragma(name));
    }
    await orm.close(true);
    assert.deepEqual(values, ["wal", 2, 1, 5_000]);
  });

  it("V11 forgets what an ended command was to do, long or short, when its log is emptied", async () => {
    const storage = await files.open();
    const secret = "correct-horse-battery-staple";
    const commands = Array.from({ length: 40 }, (_, index) =>
      commandRecord(index, { payload: Buffer.from(secret.repeat(1 + index * 20)) }),
    );
    await storage.commit({ commands });
    const kept = () =>
      [files.path, `${files.path}-wal`].filter((path) => readFileSync(path).includes(secret));
    assert.notDeepEqual(kept(), []);
    assert.equal(await storage.emptyLog(), true);
    assert.deepEqual(kept(), [files.path]);
    const ended = commands.map((command) => ({ ...command, payload: new Uint8Array(0), endTime: 1 }));
    await storage.commit({ commands: ended });
    assert.equal(await storage.emptyLog(), true);
    assert.deepEqual(kept(), []);
  });

  it("does not wait for another process that reads, to empty its log", async () => {
    const storage = await files.open();
    await storage.tokens.create(tokenRecord("t"), []);
    const reader = startChild("read-on.ts", [files.path]);
    assert.equal(await reader.line(), "reads");
    await storage.tokens.create(tokenRecord("u"), []);
    assert.equal(await storage.emptyLog(), false);
    reader.process.stdin.write("end\n");
    assert.equal((await reader.ended).code, 0);
    assert.equal(await storage.emptyLog(), true);
  });

  it("gets its schema by migrations, once, and keeps its rows over them", async () => {
    const first = await files.open();
    await first.tokens.create(tokenRecord("t"), []);
    await first.close();
    await files.open();
    const second = await files.open();
    assert.equal((await second.tokens.list(undefined, 9)).length, 1);
    assert.deepEqual(files.query("select name from mikro_orm_migrations"), ["0001-first-schema"]);
  });

  it("has by its migrations the schema that the entities describe, and a difference is seen", async () => {
    const orm = await openOrm(files.path);
    try {
      assert.equal(await orm.migrator.checkSchema(), false, await orm.schema.getUpdateSchemaSQL());
      files.query("drop index event_host_id_sequence_index");
      assert.equal(await orm.migrator.checkSchema(), true);
    } finally {
      await orm.close(true);
    }
  });

  it("can be brought back to empty and up again", async () => {
    const orm = await openOrm(files.path);
    await orm.migrator.down();
    assert.deepEqual(files.query("select count(*) from sqlite_master where name = 'host'"), [0]);
    await orm.migrator.up();
    assert.equal(await orm.migrator.checkSchema(), false);
    await orm.close(true);
  });

  it("of a newer version is refused with a clear error, and left as it is", async () => {
    await (await files.open()).close();
    files.query("insert into mikro_orm_migrations (name) values ('0999-of-tomorrow')");
    await assert.rejects(files.open(), {
      reason: "STORAGE_UNAVAILABLE",
      message: /newer version of Fairlead/,
    });
    assert.deepEqual(files.query("select count(*) from mikro_orm_migrations"), [2]);
  });

  it("that is no database is refused with a clear error, and left as it is", async () => {
    mkdirSync(dirname(files.path));
    writeFileSync(files.path, "something else altogether, and long enough to be looked at ".repeat(20));
    const before = readFileSync(files.path);
    await assert.rejects(files.open(), {
      reason: "STORAGE_UNAVAILABLE",
      message: /fairlead\.db cannot be opened: file is not a database/,
    });
    assert.deepEqual(readFileSync(files.path), before);
  });

  it("in a place that is no folder is refused with a clear error", async () => {
    writeFileSync(dirname(files.path), "");
    await assert.rejects(files.open(), {
      reason: "STORAGE_UNAVAILABLE",
      message: /cannot be opened: ENOTDIR|EEXIST/,
    });
  });

  it("C36 without room: writes fail with a clear reason, reads go on, and it recovers by itself", async function () {
    this.timeout(60_000);
    requireTool(this, "prlimit", existsSync("/usr/bin/prlimit"));
    // 1,000 blocks of 512 or 1,024 bytes, by the shell.
    const limited = ["/bin/sh", "-c", 'ulimit -S -f 1000; exec "$@"', "sh"];
    const child = startChild("fill-disk.ts", [files.path], limited);
    const report = JSON.parse((await child.line()) ?? "{}");
    assert.deepEqual(report, {
      reason: "STORAGE_UNAVAILABLE",
      full: {
        healthyAfterFailure: false,
        healthy: false,
        probe: false,
        several: ["rejected", "rejected", "rejected"],
        readable: true,
        failedOneStored: false,
      },
      prlimit: 0,
      after: { probe: true, healthy: true, stored: true },
    });
    assert.equal((await child.ended).code, 0);
  });

  it("C36 as large as it may be: what needs room fails with a clear reason, reads go on, and it recovers by itself", async () => {
    const orm = await openOrm(files.path);
    const storage = new OrmStorage(orm, silent);
    await storage.commit({ commands: [commandRecord(1)] });
    const large = () =>
      storage.commit({ commands: [commandRecord(2, { payload: Buffer.alloc(1_000_000) })] });
    await orm.em.execute("pragma max_page_count = 1");
    await assert.rejects(large(), { reason: "STORAGE_UNAVAILABLE" });
    assert.equal(storage.healthy(), false);
    assert.equal((await storage.commands.open()).length, 1);
    await orm.em.execute("pragma max_page_count = 1000000");
    await large();
    assert.equal(storage.healthy(), true);
    await storage.close();
  });

  it("C36 read-only: writes fail with a clear reason, reads go on, and it recovers by itself", async () => {
    const orm = await openOrm(files.path);
    const storage = new OrmStorage(orm, silent);
    await storage.commit({ commands: [commandRecord(1)] });
    const told: boolean[] = [];
    const stop = storage.onHealth((healthy) => void told.push(healthy));
    await orm.em.execute("pragma query_only = on");
    const writes = [
      storage.commit({ commands: [commandRecord(2)] }),
      storage.tokens.create(tokenRecord("t"), []),
      storage.fleet.markAllOffline(),
    ];
    for (const { status, reason } of (await Promise.allSettled(writes)) as PromiseRejectedResult[]) {
      assert.deepEqual([status, reason.reason], ["rejected", "STORAGE_UNAVAILABLE"]);
    }
    assert.deepEqual([storage.healthy(), await storage.probe()], [false, false]);
    assert.equal((await storage.commands.open()).length, 1);
    await orm.em.execute("pragma query_only = off");
    assert.deepEqual([await storage.probe(), storage.healthy()], [true, true]);
    assert.deepEqual(told, [false, true]);
    stop();
    await storage.close();
  });
});
