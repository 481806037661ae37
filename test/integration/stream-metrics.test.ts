import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { floodLabel } from "../../src/agent/engine/simulated-flood.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { pageOf } from "../support/api-place.ts";
import { eventually } from "../support/control-plane-harness.ts";
import { Fleet, patienceMs } from "../support/fleet.ts";
import { rawConnection, rawIdentity } from "../support/raw-agent.ts";
import { RawDataStream } from "../support/raw-data-stream.ts";

const openLogs = 'fairlead_data_streams{kind="open_logs"}';
const upBytes = 'fairlead_data_stream_bytes_total{kind="open_logs",direction="up"}';
const downBytes = 'fairlead_data_stream_bytes_total{kind="open_logs",direction="down"}';

describe("metrics of data streams", function () {
  this.timeout(60_000);
  let fleet: Fleet;
  let engine: SimulatedEngine;

  beforeEach(async () => {
    engine = new SimulatedEngine({ clock: systemClock });
    fleet = await Fleet.start({ streams: { maxStreamsEach: 1 } });
    await fleet.enrol("one", engine);
    await fleet.make("one", "flood", { [floodLabel]: "100000000" });
  });
  afterEach(async () => {
    await fleet[Symbol.asyncDispose]();
    await engine.close();
  });

  const figure = async (name: string): Promise<number | undefined> => {
    const authorization = `Bearer ${fleet.plane.adminKey}`;
    const { text } = await pageOf(fleet.plane, "/metrics", { authorization });
    const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length));
  };

  const until = (name: string, value: number) =>
    eventually(async () => (await figure(name)) === value, `${name} is ${value}`, patienceMs);

  /** Reads so many bytes and leaves; `meanwhile` is called in front of the end. */
  const read = async (bytes: number, meanwhile: () => Promise<void>): Promise<number> => {
    const leaving = new AbortController();
    const logs = fleet.api.logs.streamLogs({ container: "flood", follow: true }, { signal: leaving.signal });
    let seen = 0;
    try {
      for await (const { message } of logs) {
        if (message.case === "batch") {
          for (const { data } of message.value.records) seen += data.byteLength;
        }
        if (seen < bytes) continue;
        await meanwhile();
        break;
      }
    } finally {
      leaving.abort();
    }
    return seen;
  };

  it("L07 streams are shown by what they are for while they are open, and what they carried also afterwards", async () => {
    let live = 0;
    const seen = await read(1_000_000, async () => {
      assert.equal(await figure(openLogs), 1);
      live = (await figure(upBytes)) ?? 0;
    });
    assert.ok(live >= seen, `${live} bytes were carried when ${seen} had been read`);
    await until(openLogs, 0);
    const ended = (await figure(upBytes)) ?? 0;
    assert.ok(ended >= live, `${ended} bytes in the end`);
    assert.ok(((await figure(downBytes)) ?? 0) > 0, "the acceptance went down");
    await read(1, async () => undefined);
    await until(openLogs, 0);
    assert.ok(((await figure(upBytes)) ?? 0) > ended, "the next one counts on");
  });

  it("L07 streams that callers did not get are counted by reason", async () => {
    const name = 'fairlead_data_streams_not_opened_total{kind="open_logs",reason="TOO_MANY_STREAMS"}';
    await read(1, async () => {
      await assert.rejects(
        read(1, async () => undefined),
        { reason: "TOO_MANY_STREAMS" },
      );
    });
    assert.equal(await figure(name), 1);
  });

  it("L07 streams that nobody asked for are counted by reason", async () => {
    const { port } = fleet.plane.controlPlane.agentsAddress;
    const connection = rawConnection(port, fleet.plane.ca);
    const stream = new RawDataStream(connection, rawIdentity());
    stream.open(randomBytes(32), { agentId: "nobody" });
    assert.equal((await stream.ended).reason, "UNAUTHENTICATED");
    connection.close();
    assert.equal(await figure('fairlead_data_streams_refused_total{reason="UNAUTHENTICATED"}'), 1);
  });
});
