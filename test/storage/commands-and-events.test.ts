import assert from "node:assert/strict";
import type { Storage } from "../../src/storage/storage.ts";
import { commandId, commandRecord, newEvent, now } from "./sample-records.ts";
import { TemporaryStorage } from "./temporary-storage.ts";

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
        commandRecord(4, { container: "redis" }),
        commandRecord(5),
      ],
    });
    const numbers = async (query: Omit<Parameters<typeof storage.commands.list>[0], "limit">, limit = 9) =>
      (await storage.commands.list({ ...query, limit })).map(({ id }) => Number(id.slice(-12)));
    assert.deepEqual(await numbers({}, 2), [5, 4]);
    assert.deepEqual(await numbers({ beforeId: commandId(4) }), [3, 2, 1]);
    assert.deepEqual(await numbers({ hostId: "host-1", states: ["PENDING"] }), [5, 4, 1]);
    assert.deepEqual(await numbers({ container: "redis" }), [4]);
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
    const byAge = { endedBefore: now + 50, keepAtMost: 1_000, batch: 20 };
    const counts = [];
    for (let index = 0; index < 4; index += 1) {
      counts.push(await storage.commands.prune(byAge));
    }
    assert.deepEqual(counts, [20, 20, 5, 0]);
    assert.equal(await storage.commands.prune({ endedBefore: 0, keepAtMost: 30, batch: 100 }), 15);
    const left = await storage.commands.list({ limit: 1_000, states: ["SUCCEEDED"] });
    assert.equal(left.length, 30);
    assert.equal(left.at(-1)?.endTime, now + 67);
    assert.equal((await storage.commands.open()).length, 10);
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
