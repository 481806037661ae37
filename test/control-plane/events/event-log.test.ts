import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { spy } from "sinon";
import { type EventFilter, eventTest } from "../../../src/control-plane/events/event-filter.ts";
import { EventLog, type EventNotice } from "../../../src/control-plane/events/event-log.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { neverAborted } from "../../../src/resilience/signals.ts";
import type { EventRecord } from "../../../src/storage/records.ts";
import { openStorage, type Storage } from "../../../src/storage/storage.ts";
import { ManualClock } from "./manual-clock.ts";

const logger = pino({ level: "silent" });
const started = EventType.CONTAINER_STARTED;

describe("the event log", () => {
  let folder: string;
  let storage: Storage;
  let clock: ManualClock;
  let log: EventLog;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "fairlead-events-"));
    clock = new ManualClock();
    await open();
  });

  afterEach(async () => {
    log.close();
    await storage.close();
    await rm(folder, { recursive: true });
    assert.equal(clock.sleeping, 0, "a watcher is left");
  });

  const open = async (maxRecent?: number) => {
    storage = await openStorage({ path: join(folder, "fleet.db"), logger });
    log = new EventLog({ storage, clock, logger, ...(maxRecent === undefined ? {} : { maxRecent }) });
  };

  /** Opens the log anew, with room in memory for so many events only. */
  const reopen = async (maxRecent: number) => {
    log.close();
    await storage.close();
    await open(maxRecent);
  };

  /** Stores events of these containers, and waits until they are. */
  const store = async (...containers: string[]) => {
    const events = containers.map((containerName) => log.make({ type: started, containerName }));
    await storage.commit({ events });
  };

  it("L02 sequences grow, survive a restart, and what is left out of a draft is filled in", async () => {
    log.record({ type: started, containerName: "one", attributes: { image: "web" } });
    log.record({ type: started, containerName: "two", eventTime: 5 });
    await storage.commit({});
    await storage.close();
    await open();
    await store("three");
    const events = await log.list({}, 0, 10);
    assert.deepEqual(
      events.map(({ containerName }) => containerName),
      ["one", "two", "three"],
    );
    assert.ok(events.every(({ sequence }, index) => sequence > (events[index - 1]?.sequence ?? 0)));
    const [one, two] = events;
    assert.deepEqual(one, {
      sequence: one?.sequence,
      type: started,
      eventTime: clock.now(),
      recordTime: clock.now(),
      hostId: "",
      hostName: "",
      containerId: "",
      containerName: "one",
      commandId: "",
      actor: "",
      attributes: { image: "web" },
    });
    assert.deepEqual([two?.eventTime, two?.recordTime], [5, clock.now()]);
  });

  it("L02 lists by type, host, container and command, after a sequence and no more than asked for", async () => {
    const draft = { hostId: "h1", containerId: "c1", containerName: "web", commandId: "k1" };
    await storage.commit({
      events: [
        log.make({ type: started, ...draft }),
        log.make({ type: EventType.HOST_ONLINE, hostId: "h2" }),
        log.make({ type: started, ...draft, hostId: "h2", containerId: "c2", commandId: "" }),
      ],
    });
    const sequences = async (...given: Parameters<EventLog["list"]>) =>
      (await log.list(...given)).map(({ sequence }) => sequence);
    const [first = 0, second = 0, third = 0] = await sequences({}, 0, 10);
    const all = await log.list({}, 0, 10);
    const found = async (filter: EventFilter) => {
      const listed = await sequences(filter, 0, 10);
      // Whoever follows them is told by this test.
      assert.deepEqual(
        all.filter(eventTest(filter)).map(({ sequence }) => sequence),
        listed,
      );
      return listed;
    };
    assert.deepEqual(await found({ types: [started] }), [first, third]);
    assert.deepEqual(await found({ hostIds: ["h2"] }), [second, third]);
    assert.deepEqual(await found({ hostIds: [] }), []);
    assert.deepEqual(await found({ container: "web" }), [first, third]);
    assert.deepEqual(await found({ container: "c2" }), [third]);
    assert.deepEqual(await found({ commandId: "k1" }), [first]);
    assert.deepEqual(await found({ types: [started], hostIds: ["h2"] }), [third]);
    assert.deepEqual(await sequences({}, first, 1), [second]);
  });

  it("L02 an event that cannot be stored is logged, and nobody is thrown at", async () => {
    const lines: string[] = [];
    const recording = pino({}, { write: (line: string) => void lines.push(line) });
    const other = new EventLog({ storage, clock, logger: recording });
    await storage.close();
    other.record({ type: started, containerName: "lost" });
    other.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /"containerName":"lost".*events could not be stored/);
  });

  it("L03 a watcher begins after the newest event at its call, and is told its cursor at once", async () => {
    await store("before");
    const watcher = log.watch({}, undefined, neverAborted);
    await store("after");
    const newest = await storage.events.newest();
    assert.deepEqual(await watcher.next(), { done: false, value: { events: [], cursor: newest - 1 } });
    assert.equal((await nextEvent(watcher)).containerName, "after");
    await watcher.return(undefined as never);
  });

  it("L03 a watcher from 0 gets all that is kept, and then what happens, once and in order", async () => {
    await store("a", "b");
    await storage.close();
    await open();
    const watcher = log.watch({}, 0, neverAborted);
    assert.deepEqual(await namesOf(watcher, 2), ["a", "b"]);
    const next = namesOf(watcher, 3);
    await store("c");
    await store("d", "e");
    assert.deepEqual(await next, ["c", "d", "e"]);
    await watcher.return(undefined as never);
  });

  for (const maxRecent of [1, 10, 4_096]) {
    it(`L03 a watcher that comes back with its cursor, after any number of events, misses and repeats nothing (${maxRecent} in memory)`, async () => {
      await reopen(maxRecent);
      await comeBackAgainAndAgain();
    });
  }

  const comeBackAgainAndAgain = async () => {
    const told: string[] = [];
    const stored: string[] = [];
    let cursor = 0;
    for (let round = 0; round < 25; round += 1) {
      const names = Array.from({ length: (round * 7) % 40 }, (_, index) => `${round}-${index}`);
      const abort = new AbortController();
      const watcher = log.watch({}, cursor, abort.signal);
      const storing = store(...names);
      stored.push(...names);
      // It leaves at another place each time, sometimes in the middle of what it could have read.
      for (let step = 0; step < (round * 5) % 30 && told.length < stored.length; step += 1) {
        const { value } = await watcher.next();
        cursor = value.cursor;
        told.push(...value.events.map(({ containerName }) => containerName));
      }
      abort.abort(new Error("left"));
      await storing;
    }
    const last = log.watch({}, cursor, neverAborted);
    told.push(...(await namesOf(last, stored.length - told.length)));
    await last.return(undefined as never);
    assert.deepEqual(told, stored);
  };

  it("L03 a watcher that keeps up is told from memory, what does not match left out, as the log lists it", async () => {
    const reads = spy(storage.events, "list");
    const all = log.watch({}, undefined, neverAborted);
    const some = log.watch({ container: "b" }, undefined, neverAborted);
    await Promise.all([all.next(), some.next()]);
    const told = Promise.all([nextEvents(all, 2), nextEvents(some, 1)]);
    await store("a", "b");
    const [both, onlyB] = await told;
    assert.equal(reads.callCount, 0);
    assert.deepEqual(both, await log.list({}, 0, 10));
    assert.deepEqual(onlyB, both.slice(1));
    await Promise.all([all.return(undefined as never), some.return(undefined as never)]);
  });

  it("L03 more events than one read holds arrive whole, with a filter as well", async () => {
    const names = Array.from({ length: 700 }, (_, index) => `c${index % 2}-${index}`);
    const events = names.map((containerName, index) =>
      log.make({ type: started, containerName, hostId: `h${index % 2}` }),
    );
    await storage.commit({ events });
    const all = log.watch({}, 0, neverAborted);
    const odd = log.watch({ hostIds: ["h1"] }, 0, neverAborted);
    assert.deepEqual(await namesOf(all, 700), names);
    assert.deepEqual(
      await namesOf(odd, 350),
      names.filter((name) => name.startsWith("c1")),
    );
    await Promise.all([all.return(undefined as never), odd.return(undefined as never)]);
  });

  it("L03 a cursor moves on past events that do not match, and is told every 15 s", async () => {
    const watcher = log.watch({ hostIds: ["nobody"] }, undefined, neverAborted);
    await watcher.next();
    const heartbeat = watcher.next();
    await store("a", "b", "c");
    while (clock.sleeping === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    clock.advance(14_999);
    assert.equal(await Promise.race([heartbeat, turns(50)]), "nothing");
    clock.advance(1);
    assert.deepEqual((await heartbeat).value, { events: [], cursor: await storage.events.newest() });
    await watcher.return(undefined as never);
  });

  it("L04 a slow watcher whose events are no longer kept is told so, others go on", async () => {
    await reopen(2);
    await store("a", "b", "c");
    const slow = log.watch({}, 0, neverAborted);
    assert.equal((await nextEvent(slow)).containerName, "a");
    const [first] = await log.list({}, 0, 1);
    const behind = log.watch({}, first?.sequence, neverAborted);
    await behind.next();
    await store("d", "e");
    const quick = log.watch({}, (await storage.events.newest()) - 1, neverAborted);
    await storage.events.prune({ before: 0, keepAtMost: 2, batch: 100 });
    assert.deepEqual(await namesOf(slow, 2), ["b", "c"]);
    // It stands right before the oldest that is kept, so that it misses nothing and goes on.
    assert.equal((await nextEvent(slow)).containerName, "d");
    await assert.rejects(nextEvent(behind), isExpired);
    assert.equal((await nextEvent(quick)).containerName, "e");
    await Promise.all([slow.return(undefined as never), quick.return(undefined as never)]);
  });

  it("L04 a cursor that is no longer kept, or that is of another log, is refused at once", async () => {
    await store("a", "b", "c", "d");
    const newest = await storage.events.newest();
    await storage.events.prune({ before: 0, keepAtMost: 1, batch: 100 });
    await assert.rejects(log.watch({}, newest - 2, neverAborted).next(), isExpired);
    await assert.rejects(log.watch({}, newest + 1, neverAborted).next(), isExpired);
    // Right before the oldest that is kept: nothing is missing.
    const watcher = log.watch({}, newest - 1, neverAborted);
    assert.deepEqual(await namesOf(watcher, 1), ["d"]);
    await watcher.return(undefined as never);
  });

  it("L04 a watcher that does not read costs nobody anything and holds nothing", async () => {
    const idle = log.watch({}, 0, neverAborted);
    await idle.next();
    const names = Array.from({ length: 2_000 }, (_, index) => `${index}`);
    await store(...names);
    const busy = log.watch({}, 0, neverAborted);
    assert.deepEqual(await namesOf(busy, 2_000), names);
    assert.deepEqual(await namesOf(idle, 2_000), names);
    await Promise.all([idle.return(undefined as never), busy.return(undefined as never)]);
  });

  it("L04 a watcher that is told much lets the event loop go round meanwhile", async () => {
    const watcher = log.watch({}, undefined, neverAborted);
    await watcher.next();
    await store(...Array.from({ length: 1_000 }, (_, index) => `${index}`));
    let rounds = 0;
    let round = setImmediate(function again() {
      rounds += 1;
      round = setImmediate(again);
    });
    await namesOf(watcher, 1_000);
    clearImmediate(round);
    assert.ok(rounds >= 10, `${rounds} rounds`);
    await watcher.return(undefined as never);
  });

  it("L04 watching ends with the signal's reason, or with DRAINING when the log is closed", async () => {
    const abort = new AbortController();
    const aborted = log.watch({}, 0, abort.signal);
    const closed = log.watch({}, 0, neverAborted);
    await Promise.all([aborted.next(), closed.next()]);
    const waiting = [aborted.next(), closed.next()];
    abort.abort(new Error("the caller has gone"));
    await assert.rejects(waiting[0]!, /the caller has gone/);
    log.close();
    await assert.rejects(waiting[1]!, { reason: "DRAINING" });
    await assert.rejects(nextEvent(log.watch({}, undefined, neverAborted)), { reason: "DRAINING" });
  });
});

type Watcher = AsyncGenerator<EventNotice, never>;

/** What was told together with the event that `nextEvent` gave last. */
const toldAsWell = new WeakMap<Watcher, EventRecord[]>();

/** The next event, read from the log when there is need. */
async function nextEvent(watcher: Watcher): Promise<EventRecord> {
  const told = toldAsWell.get(watcher) ?? [];
  while (told.length === 0) told.push(...(await watcher.next()).value.events);
  const [next, ...others] = told;
  toldAsWell.set(watcher, others);
  return next!;
}

async function nextEvents(watcher: Watcher, count: number): Promise<EventRecord[]> {
  const events: EventRecord[] = [];
  while (events.length < count) events.push(await nextEvent(watcher));
  return events;
}

/** The containers of the next so many events. */
async function namesOf(watcher: Watcher, count: number): Promise<string[]> {
  return (await nextEvents(watcher, count)).map(({ containerName }) => containerName);
}

function isExpired(error: unknown): boolean {
  return error instanceof FleetError && error.reason === "CURSOR_EXPIRED";
}

async function turns(count: number): Promise<string> {
  for (let turn = 0; turn < count; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return "nothing";
}
