import assert from "node:assert/strict";
import { Retention } from "../../../src/control-plane/upkeep/retention.ts";
import {
  defaultRetention,
  type RetentionSettings,
} from "../../../src/control-plane/upkeep/retention-settings.ts";
import { type Clock, systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { commandId, commandRecord, newEvent, tokenRecord } from "../../storage/sample-records.ts";
import { TemporaryStorage } from "../../storage/temporary-storage.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { silentLogger } from "../../support/silent-logger.ts";
import { eventually } from "../../support/control-plane-harness.ts";

const dayMs = 24 * 60 * 60_000;

describe("retention", () => {
  let files: TemporaryStorage;
  let storage: Storage;

  beforeEach(async () => {
    files = new TemporaryStorage();
    storage = await files.open();
  });

  afterEach(() => files.remove());

  const retentionWith = (clock: Clock, settings: Partial<RetentionSettings> = {}) =>
    new Retention({
      storage,
      clock,
      logger: silentLogger,
      settings: { ...defaultRetention, ...settings },
      keysMs: dayMs,
      briefOperations: ["run_exec"],
    });

  /** Ended commands, one a millisecond from `since` on, and as many events. */
  async function fill(count: number, since: number, more: Parameters<typeof commandRecord>[1] = {}) {
    const numbers = Array.from({ length: count }, (_, number) => number);
    for (let start = 0; start < count; start += 2_000) {
      const some = numbers.slice(start, start + 2_000);
      await storage.commit({
        commands: some.map((number) =>
          commandRecord(number, {
            state: "SUCCEEDED",
            createTime: since + number,
            endTime: since + number,
            ...more,
          }),
        ),
        events: some.map((number) => newEvent({ recordTime: since + number })),
      });
    }
  }

  it("V11 what processes wrote is forgotten when their callers' keys stand for nothing more, and nothing else is", async () => {
    const since = systemClock.now();
    let nowMs = since;
    const retention = retentionWith({ ...systemClock, now: () => nowMs }, { batch: 7, pauseMs: 0 });
    const outcome = Uint8Array.of(1, 2, 3);
    await fill(50, since, { operation: "run_exec", outcome });
    const outcomes = async () => {
      const commands = await storage.commands.list({ limit: 100 });
      return commands.map((command) => command.outcome.byteLength);
    };
    let emptied = 0;
    const emptyLog = storage.emptyLog.bind(storage);
    storage.emptyLog = () => {
      emptied += 1;
      return emptyLog();
    };
    await retention.round(neverAborted);
    assert.deepEqual(await outcomes(), Array(50).fill(3));
    assert.equal(emptied, 1, "what ended before leaves the files");
    nowMs += dayMs + 20;
    await retention.round(neverAborted);
    assert.deepEqual(await outcomes(), [...Array(30).fill(3), ...Array(20).fill(0)], "newest first");
    nowMs += 1_000;
    await retention.round(neverAborted);
    assert.deepEqual(await outcomes(), Array(50).fill(0));
    await storage.commit({
      commands: [
        commandRecord(100, {
          operation: "start_container",
          outcome,
          state: "SUCCEEDED",
          endTime: nowMs,
        }),
      ],
    });
    nowMs += 2 * dayMs;
    await retention.round(neverAborted);
    assert.equal((await outcomes())[0], 3);
  });

  it("C33 ended commands are kept for 30 days, and 1,000,000 of them, unless that is set", () => {
    assert.deepEqual([defaultRetention.commandsMs, defaultRetention.maxCommands], [30 * dayMs, 1_000_000]);
  });

  it("C33 what is too old goes, what is not stays, and what has not ended stays for ever", async () => {
    const clock = new FakeClock();
    await fill(100, clock.now());
    await storage.commit({ commands: [commandRecord(1_000, { createTime: clock.now() })] });
    await storage.tokens.create(tokenRecord("spent", { useCount: 1, expireTime: clock.now() }), []);
    const intervalMs = dayMs;
    const retention = retentionWith(clock, { batch: 7, intervalMs });
    retention.start();
    await clock.pass(29 * dayMs);
    await eventually(() => clock.sleeping === 1, "it rests");
    assert.deepEqual([await storage.commands.countEnded(), await storage.events.oldest()], [100, 1]);
    await clock.pass(dayMs + 100);
    await eventually(async () => {
      await clock.pass(intervalMs);
      // The newest event stays: it says where the log stands.
      return (await storage.commands.countEnded()) === 0 && (await storage.events.oldest()) === 100;
    }, "what was old is gone");
    assert.equal((await storage.commands.open()).length, 1);
    assert.equal((await storage.tokens.list(undefined, 10)).length, 1);
    await clock.pass(60 * dayMs);
    await eventually(async () => {
      await clock.pass(intervalMs);
      return (await storage.tokens.list(undefined, 10)).length === 0;
    }, "the spent token is gone");
    await retention.close();
    assert.equal(clock.sleeping, 0);
  });

  it("C33 what is too many goes from the old end, in batches with pauses", async () => {
    const clock = new FakeClock();
    await fill(100, clock.now());
    const settings = { maxCommands: 30, maxEvents: 40, batch: 20, pauseMs: 33 };
    const round = retentionWith(clock, settings).round(neverAborted);
    let rows: Awaited<typeof round> | undefined;
    void round.then((pruned) => {
      rows = pruned;
    });
    await eventually(async () => {
      await clock.pass(settings.pauseMs);
      return rows;
    }, "the round ends");
    assert.deepEqual(rows, { commands: 70, events: 60, tokens: 0 });
    const left = await storage.commands.list({ limit: 100 });
    assert.deepEqual([left.length, left.at(-1)?.id], [30, commandId(70)]);
    assert.deepEqual([await storage.events.oldest(), await storage.events.newest()], [61, 100]);
    // 4 looks at commands, 4 at events, 1 at tokens, each with a pause behind it.
    assert.deepEqual(new Set(clock.sleeps), new Set([33]));
    assert.ok(clock.sleeps.length >= 9);
  });

  it("C33 C08 a command stays as long as its caller's key stands for it, however many there are", async () => {
    const instant: Clock = { ...systemClock, now: () => dayMs, sleep: async () => undefined };
    await fill(50, 0, { requestId: "key" });
    const settings = { maxCommands: 10, batch: 7 };
    assert.equal((await retentionWith(instant, settings).round(neverAborted)).commands, 0);
    const later = { ...instant, now: () => dayMs + 25 };
    assert.equal((await retentionWith(later, settings).round(neverAborted)).commands, 25);
    assert.equal(await storage.commands.countEnded(), 25);
  });

  it("C33 a database that fails is tried again, and closing ends a round between two batches", async () => {
    const clock = new FakeClock();
    await fill(100, clock.now());
    await storage.close();
    const failing = retentionWith(clock);
    failing.start();
    await eventually(() => clock.sleeps.includes(defaultRetention.intervalMs), "it waits for the next try");
    await failing.close();
    storage = await files.open();
    const slow = retentionWith(clock, { maxCommands: 0, batch: 10 });
    slow.start();
    await eventually(() => clock.sleeping === 1, "it pauses after the first batch");
    await slow.close();
    assert.equal(await storage.commands.countEnded(), 90);
    assert.equal(clock.sleeping, 0);
  });

  it("C33 20,000 rows are deleted without holding up the event loop", async function () {
    this.timeout(60_000);
    const since = Date.now() - 40 * dayMs;
    await fill(20_000, since, { payload: new Uint8Array(200) });
    const longestMs = watchedTurns();
    const rows = await retentionWith(systemClock, { pauseMs: 1 }).round(neverAborted);
    const longest = longestMs();
    assert.deepEqual([rows.commands, rows.events], [20_000, 19_999]);
    // A batch takes about 10 ms, some of which the disk does; all of them at once would be hundreds.
    assert.ok(longest < 150, `one turn of the event loop took ${longest} ms`);
  });
});

/**
 * Measures how much each turn of the event loop works, as the thread's own time, which other programs do not add to. Returns how to stop, with the
 * most in milliseconds.
 */
function watchedTurns(): () => number {
  let longest = 0;
  let before = process.threadCpuUsage();
  let next: NodeJS.Immediate;
  const turn = () => {
    const { user, system } = process.threadCpuUsage(before);
    longest = Math.max(longest, (user + system) / 1_000);
    before = process.threadCpuUsage();
    next = setImmediate(turn);
  };
  next = setImmediate(turn);
  return () => {
    clearImmediate(next);
    return longest;
  };
}
