import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { WatchEventsResponse } from "../../../src/gen/fairlead/event/v1/event_service_pb.js";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { failureOf, type ServicesUnderTest, startServices } from "./services-harness.ts";

describe("the event service", () => {
  let api: ServicesUnderTest;

  beforeEach(async () => {
    api = await startServices();
    await api.addHost("alpha");
  });

  afterEach(() => api.close());

  const store = (...names: string[]) =>
    api.storage.commit({
      events: names.map((containerName) =>
        api.events.make({ type: EventType.CONTAINER_STARTED, hostId: "id-alpha", containerName }),
      ),
    });

  it("L02 events are listed oldest first, with filters, page by page", async () => {
    await store("a", "b", "c", "d", "e");
    const filter = { hosts: ["alpha"], types: [EventType.CONTAINER_STARTED] };
    const names: string[] = [];
    let pageToken = "";
    do {
      const page = await api.eventService.listEvents({ filter, pageSize: 2, pageToken });
      names.push(...page.events.map(({ containerName }) => containerName));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(names, ["a", "b", "c", "d", "e"]);
    const { events } = await api.eventService.listEvents({ filter, pageSize: 1 });
    const afterSequence = events[0]!.sequence;
    const after = await api.eventService.listEvents({ filter, afterSequence });
    assert.equal(after.events[0]?.containerName, "b");
    assert.equal(
      (await failureOf(api.eventService.listEvents({ filter: { hosts: ["beta"] } }))).reason,
      "HOST_NOT_FOUND",
    );
  });

  it("L02 an event is told whole", async () => {
    await api.storage.commit({
      events: [
        api.events.make({
          type: EventType.CONTAINER_DIED,
          eventTime: 1_234,
          hostId: "h",
          hostName: "host",
          containerId: "c",
          containerName: "web",
          commandId: "k",
          actor: "tester",
          attributes: { exit_code: "137" },
        }),
      ],
    });
    const { events } = await api.eventService.listEvents({ filter: { types: [EventType.CONTAINER_DIED] } });
    const { $typeName: _, attributes, sequence, ...told } = events[0]!;
    assert.deepEqual({ ...attributes }, { exit_code: "137" });
    assert.ok(sequence > 0n);
    assert.deepEqual(told, {
      type: EventType.CONTAINER_DIED,
      eventTime: timestampFromMs(1_234),
      recordTime: timestampFromMs(api.clock.now()),
      hostId: "h",
      hostName: "host",
      containerId: "c",
      containerName: "web",
      commandId: "k",
      actor: "tester",
    });
  });

  it("L03 a watcher over the wire that breaks off and comes back with its cursor misses and repeats nothing", async () => {
    const names: string[] = [];
    let cursor: bigint | undefined;
    // The first message is empty and says where the watcher stands; from then on nothing is lost.
    for (let round = 0; round < 5; round += 1) {
      const abort = new AbortController();
      const watched = api.eventService.watchEvents(
        {
          filter: { hosts: ["alpha"], types: [EventType.CONTAINER_STARTED] },
          ...(cursor === undefined ? {} : { afterSequence: cursor }),
        },
        { signal: abort.signal },
      );
      for await (const message of watched) {
        cursor = message.cursor;
        if (message.event === undefined) {
          await store(`${round}-a`, `${round}-b`, `${round}-c`);
          continue;
        }
        names.push(message.event.containerName);
        if (names.length === round * 3 + 2) {
          break;
        }
      }
      abort.abort();
    }
    const all = Array.from({ length: 5 }, (_, round) =>
      ["a", "b", "c"].map((name) => `${round}-${name}`),
    ).flat();
    assert.deepEqual(names, all.slice(0, names.length));
    assert.equal(names.length, 14);
  });

  it("L03 a watcher that takes batches gets what there is together, none larger than it asked for, each with a cursor to come back with", async () => {
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    await store(...names);
    const filter = { types: [EventType.CONTAINER_STARTED] };
    const abort = new AbortController();
    const batches: { names: string[]; cursor: bigint }[] = [];
    for await (const { event, events, cursor } of api.eventService.watchEvents(
      { filter, afterSequence: 0n, maxBatchSize: 3 },
      { signal: abort.signal },
    )) {
      assert.equal(event, undefined);
      if (events.length === 0) continue;
      assert.equal(cursor, events.at(-1)?.sequence);
      batches.push({ names: events.map(({ containerName }) => containerName), cursor });
      if (batches.length === 3) break;
    }
    abort.abort();
    assert.deepEqual(
      batches.map((batch) => batch.names),
      [["a", "b", "c"], ["d", "e", "f"], ["g"]],
    );
    const { events } = await api.eventService.listEvents({ filter, afterSequence: batches[0]!.cursor });
    assert.deepEqual(
      events.map(({ containerName }) => containerName),
      names.slice(3),
    );
  });

  it("L04 a cursor that is no longer kept is refused as out of range", async () => {
    await store("a", "b", "c", "d");
    const newest = await api.storage.events.newest();
    await api.storage.events.prune({ before: 0, keepAtMost: 1, batch: 100 });
    const read = async (): Promise<WatchEventsResponse | undefined> => {
      for await (const message of api.eventService.watchEvents({ afterSequence: BigInt(newest - 2) })) {
        return message;
      }
      return undefined;
    };
    assert.equal((await failureOf(read())).reason, "CURSOR_EXPIRED");
  });

  it("L04 a watcher that has gone leaves nothing behind", async () => {
    const abort = new AbortController();
    const watched = api.eventService.watchEvents({}, { signal: abort.signal })[Symbol.asyncIterator]();
    await watched.next();
    while (api.clock.sleeping === 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    abort.abort();
    await assert.rejects(watched.next());
    while (api.clock.sleeping > 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
});
