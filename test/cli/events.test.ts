import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../src/domain/errors.ts";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { type Answers, closeApis, fairlead, nowMs } from "./command-line.ts";

function eventOf(sequence: bigint, attributes: Record<string, string> = {}) {
  return {
    sequence,
    type: EventType.CONTAINER_DIED,
    eventTime: timestampFromMs(nowMs),
    hostName: "web-1",
    containerId: "4c01db0b339c4c01db0b",
    containerName: "web",
    attributes,
  };
}

describe("events on the command line", () => {
  afterEach(closeApis);

  it("L02 lists what is kept, all pages, one line each, with everything of others escaped", async () => {
    const asked: unknown[] = [];
    const answers: Answers = {
      events: {
        listEvents({ filter, afterSequence, pageToken }) {
          asked.push([filter?.types, filter?.hosts, afterSequence]);
          return pageToken === ""
            ? { events: [eventOf(8n, { exit_code: "137", image: "a b\u001b[31m" })], nextPageToken: "next" }
            : { events: [eventOf(9n)] };
        },
      },
    };
    const args = [
      "events",
      "--since-sequence",
      "7",
      "--filter",
      "type=container_died",
      "--filter",
      "host=web-1",
    ];
    const { code, stdout, stderr } = await fairlead(answers, args);
    assert.equal(
      stdout,
      `2026-01-31T12:00:00.000Z #8 container_died host=web-1 container=web exit_code=137 image="a b\\u001b[31m"
2026-01-31T12:00:00.000Z #9 container_died host=web-1 container=web
`,
    );
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(asked[0], [[EventType.CONTAINER_DIED], ["web-1"], 7n]);
  });

  it("L10 names the command that did it and its caller, or says that it came from outside", async () => {
    const caused = { ...eventOf(1n), commandId: "0199", actor: "alice" };
    const answers: Answers = {
      events: { listEvents: () => ({ events: [caused, eventOf(2n, { origin: "outside" })] }) },
    };
    const { stdout } = await fairlead(answers, ["events"]);
    assert.deepEqual(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split("container=web ")[1]),
      ["command=0199 by=alice", "origin=outside"],
    );
  });

  it("L03 follows, and after a lost connection goes on where it was; Ctrl-C is a good end", async () => {
    const interruption = new AbortController();
    const cursors: (bigint | undefined)[] = [];
    const answers: Answers = {
      events: {
        async *watchEvents({ afterSequence, maxBatchSize }, { signal }) {
          assert.equal(maxBatchSize, 256);
          cursors.push(afterSequence);
          if (cursors.length === 1) {
            yield { cursor: 4n };
            yield { event: eventOf(5n), cursor: 5n };
            throw new FleetError("DRAINING", "the control plane is going down");
          }
          yield { events: [eventOf(6n), eventOf(7n)], cursor: 7n };
          setTimeout(() => interruption.abort(), 20);
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      },
    };
    const { code, stdout, stderr } = await fairlead(answers, ["events", "--follow", "--json"], {
      signal: interruption.signal,
      clock: { ...systemClock, sleep: async () => undefined },
    });
    const sequences = stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { sequence: string }).sequence);
    assert.deepEqual(
      [sequences, cursors],
      [
        ["5", "6", "7"],
        [undefined, 5n],
      ],
    );
    assert.deepEqual([code, stderr], [0, ""]);
  });

  it("L04 is told when its cursor is no longer kept, and does not try again", async () => {
    let calls = 0;
    const answers: Answers = {
      events: {
        async *watchEvents() {
          calls += 1;
          yield* [];
          throw new FleetError("CURSOR_EXPIRED", "event 3 is no longer kept");
        },
      },
    };
    const { code, stderr } = await fairlead(answers, ["events", "--follow", "--since-sequence", "3"]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^fairlead: event 3 is no longer kept \(CURSOR_EXPIRED\)\n {2}Run `fairlead events`/,
    );
    assert.equal(calls, 1);
  });
});
