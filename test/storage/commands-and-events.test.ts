import assert from "node:assert/strict";
import { openStorage, type Storage, type StorageObserver } from "../../src/storage/storage.ts";
import { commandId, commandRecord, newEvent, now, tokenRecord } from "./sample-records.ts";
import { silent, TemporaryStorage } from "./temporary-storage.ts";

describe("commands and events in the database", () => {
  let files: TemporaryStorage;
  let storage: Storage;

  beforeEach(async () => {
    files = new TemporaryStorage();
    storage = await files.open();
  });
  afterEach(() => files.remove());

  it("C10 commands are listed newest first in pages, by host, container and state", async () => {
    await storage.commit({
      commands: [
        commandRecord(1),
        commandRecord(2, { hostId: "host-2" }),
        commandRecord(3, { state: "FAILED", endTime: now, reason: "CONFLICT" }),
        commandRecord(4, { container: "c0ffee", containerName: "redis" }),
        commandRecord(5),
      ],
    });
    const numbers = async (query: Omit<Parameters<typeof storage.commands.list>[0], "limit">, limit = 9) =>
      (await storage.commands.list({ ...query, limit })).map(({ id }) => Number(id.slice(-12)));
    assert.deepEqual(await numbers({}, 2), [5, 4]);
    assert.deepEqual(await numbers({ beforeId: commandId(4) }), [3, 2, 1]);
    assert.deepEqual(await numbers({ hostId: "host-1", states: ["PENDING"] }), [5, 4, 1]);
    assert.deepEqual(await numbers({ container: "redis" }), [4]);
    assert.deepEqual(await numbers({ container: "c0ffee" }), [4]);
    assert.deepEqual(await numbers({ states: ["FAILED", "EXPIRED"] }), [3]);
    assert.deepEqual(await numbers({ container: "' or 1=1 --" }), []);
  });

  it("C25 a command is found by its caller and key, the newest since a time", async () => {
    await storage.commit({
      commands: [
        commandRecord(1, { requestId: "key" }),
        commandRecord(2, { requestId: "key" }),
        commandRecord(3, { requestId: "key", caller: "other" }),
      ],
    });
    const found = async (caller: string, requestId: string, since: number) =>
      (await storage.commands.findByRequest(caller, requestId, since))?.id;
    assert.equal(await found("local", "key", now), commandId(2));
    assert.equal(await found("local", "key", now + 3), undefined);
    assert.equal(await found("local", "other key", now), undefined);
  });

  it("C33 ended commands are pruned by age and by number, in batches; open ones stay", async () => {
    const ended = { state: "SUCCEEDED" } as const;
    await storage.commit({
      commands: Array.from({ length: 100 }, (_, number) =>
        commandRecord(number, number % 10 === 0 ? {} : { ...ended, endTime: now + number }),
      ),
    });
    const byAge = { endedBefore: now + 50, excess: 0, keysSince: now, batch: 20 };
    const counts = [];
    for (let index = 0; index < 4; index += 1) {
      counts.push(await storage.commands.prune(byAge));
    }
    assert.deepEqual(
      counts.map(({ deleted, last }) => [deleted, last?.endTime]),
      [
        [20, now + 22],
        [20, now + 44],
        [5, undefined],
        [0, undefined],
      ],
    );
    assert.equal(await storage.commands.countEnded(), 45);
    const byNumber = { endedBefore: 0, excess: 15, keysSince: now, batch: 100 };
    assert.deepEqual(await storage.commands.prune(byNumber), { deleted: 15, last: undefined });
    const left = await storage.commands.list({ limit: 1_000, states: ["SUCCEEDED"] });
    assert.equal(left.length, 30);
    assert.equal(left.at(-1)?.endTime, now + 67);
    assert.equal((await storage.commands.open()).length, 10);
  });

  it("C33 a command whose caller's key still stands for it is passed over, and what is behind it is reached", async () => {
    const ended = { state: "SUCCEEDED", endTime: now } as const;
    const keyed = { ...ended, requestId: "key" };
    await storage.commit({
      commands: Array.from({ length: 100 }, (_, number) =>
        commandRecord(number, number < 50 ? keyed : ended),
      ),
    });
    const rule = { endedBefore: now + 1, excess: 0, keysSince: now + 20, batch: 30 };
    const first = await storage.commands.prune(rule);
    assert.deepEqual(first, { deleted: 20, last: { endTime: now, id: commandId(29) } });
    const second = await storage.commands.prune({ ...rule, after: first.last });
    assert.deepEqual(second, { deleted: 10, last: { endTime: now, id: commandId(59) } });
    const third = await storage.commands.prune({ ...rule, after: second.last, batch: 100 });
    assert.deepEqual(third, { deleted: 40, last: undefined });
    assert.equal(await storage.commands.countEnded(), 30);
  });

  it("C33 tokens are pruned long after they expired or were revoked, in batches; others stay", async () => {
    const soon = { expireTime: now + 10 };
    for (let number = 0; number < 5; number += 1) {
      await storage.tokens.create(tokenRecord(`expired-${number}`, soon), []);
    }
    await storage.tokens.create(tokenRecord("revoked"), []);
    await storage.tokens.revoke("revoked", now + 5, () => []);
    await storage.tokens.create(tokenRecord("good", { createTime: now - 1 }), []);
    const counts = [];
    for (let index = 0; index < 3; index += 1) {
      counts.push(await storage.tokens.prune({ endedBefore: now + 11, batch: 4 }));
    }
    assert.deepEqual(counts, [4, 2, 0]);
    const left = await storage.tokens.list(undefined, 10);
    assert.deepEqual(
      left.map(({ id }) => id),
      ["good"],
    );
  });

  it("L07 whoever measures the group commit is told of each transaction, its size and its end", async () => {
    const seen: unknown[] = [];
    const observer: StorageObserver = {
      committing: (group) => (committed) => void seen.push({ ...group, committed }),
    };
    const observed = await openStorage({ path: files.path, logger: silent, observer });
    await Promise.all([1, 2, 3].map((number) => observed.commit({ commands: [commandRecord(number)] })));
    await observed.commit({ events: [newEvent()] });
    await observed.close();
    assert.deepEqual(seen, [
      { batches: 3, waiting: 0, committed: true },
      { batches: 1, waiting: 0, committed: true },
    ]);
  });

  it("L02 events are listed by every filter, and between two sequences", async () => {
    const container = { containerId: "c0ffee", containerName: "nginx" };
    await storage.commit({
      events: [
        newEvent({ type: 1, attributes: { token_id: "t'1" } }),
        newEvent({ type: 21, hostId: "host-1", ...container }),
        newEvent({ type: 22, hostId: "host-1", ...container, commandId: "command-1" }),
        newEvent({ type: 22, hostId: "host-2", containerId: "beef", containerName: "c0ffee" }),
      ],
    });
    const sequences = async (query: Omit<Parameters<typeof storage.events.list>[0], "limit">, limit = 9) =>
      (await storage.events.list({ ...query, limit })).map(({ sequence }) => sequence);
    assert.deepEqual(await sequences({ afterSequence: 0 }, 2), [1, 2]);
    assert.deepEqual(await sequences({ afterSequence: 1, upTo: 3 }), [2, 3]);
    assert.deepEqual(await sequences({ afterSequence: 0, types: [1, 21] }), [1, 2]);
    assert.deepEqual(await sequences({ afterSequence: 0, hostIds: ["host-2", "host-3"] }), [4]);
    assert.deepEqual(await sequences({ afterSequence: 0, container: "c0ffee" }), [2, 3, 4]);
    assert.deepEqual(await sequences({ afterSequence: 0, container: "nginx", types: [22] }), [3]);
    assert.deepEqual(await sequences({ afterSequence: 0, commandId: "command-1" }), [3]);
    const [first] = await storage.events.list({ afterSequence: 0, limit: 1 });
    assert.deepEqual(first, { ...newEvent({ type: 1, attributes: { token_id: "t'1" } }), sequence: 1 });
  });

  it("L02 sequences grow strictly over restarts and pruning, and none is given twice", async () => {
    await storage.commit({ events: Array.from({ length: 10 }, () => newEvent()) });
    assert.equal(await storage.events.prune({ before: now + 1, keepAtMost: 0, batch: 100 }), 9);
    await storage.close();
    const again = await files.open();
    assert.deepEqual([await again.events.oldest(), await again.events.newest()], [10, 10]);
    await again.commit({ events: [newEvent()] });
    // Also when rows vanish by a hand that is not ours.
    files.query("delete from event");
    await again.commit({ events: [newEvent(), newEvent()] });
    assert.deepEqual(
      (await again.events.list({ afterSequence: 0, limit: 9 })).map(({ sequence }) => sequence),
      [12, 13],
    );
  });

  it("C33 events are pruned from the old end by age and by number, in batches", async () => {
    const events = Array.from({ length: 100 }, (_, number) => newEvent({ recordTime: now + number }));
    await storage.commit({ events });
    const byAge = { before: now + 50, keepAtMost: 1_000, batch: 20 };
    const counts = [];
    for (let index = 0; index < 4; index += 1) {
      counts.push(await storage.events.prune(byAge));
    }
    assert.deepEqual([counts, await storage.events.oldest()], [[20, 20, 10, 0], 51]);
    assert.equal(await storage.events.prune({ before: 0, keepAtMost: 30, batch: 100 }), 20);
    assert.deepEqual([await storage.events.oldest(), await storage.events.newest()], [71, 100]);
  });
});
