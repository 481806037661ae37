import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { EngineArchive } from "../../src/agent/engine/engine-files.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { createFairlead, type Fairlead } from "../../src/client/create-fairlead.ts";
import { Role } from "../../src/gen/fairlead/access/v1/role_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { fleetErrorFrom } from "../../src/rpc/connect-error.ts";
import { keyFileOf } from "../support/api-place.ts";
import { eventually } from "../support/control-plane-harness.ts";
import { Fleet, patienceMs } from "../support/fleet.ts";

/** Has archives without an end, and takes what it is given for ever. */
class EndlessEngine extends SimulatedEngine {
  override async getArchive(): Promise<EngineArchive> {
    return { facts: { name: "endless", mode: 0o100_644 }, chunks: endless() };
  }

  override async putArchive(_: string, __: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const _chunk of chunks) await delay(1);
  }
}

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) {
    await delay(1);
    yield new Uint8Array(1_024);
  }
}

/** Reads a stream to its end, and says what ended it. */
async function endOf(stream: AsyncIterable<unknown>): Promise<string> {
  try {
    for await (const _ of stream);
    return "the end";
  } catch (error) {
    return fleetErrorFrom(error).reason;
  }
}

const start = { container: "box", host: "berlin" };
const process = { command: ["sleep", "600"] };

/** What is open for as long as its reader likes, or its host is there. */
const streams: Readonly<Record<string, (api: Fairlead) => Promise<string>>> = {
  "StreamLogs of one container": ({ logs }) => endOf(logs.streamLogs({ ...start, follow: true })),
  "StreamLogs over restarts": ({ logs }) =>
    endOf(logs.streamLogs({ ...start, follow: true, followRestarts: true })),
  StartExec: ({ processes }) => endOf(processes.startExec({ start: { ...start, process } })),
  Exec: ({ processes }) =>
    endOf(
      processes.exec(
        (async function* () {
          yield { message: { case: "start", value: { ...start, process, stdin: true } } } as const;
          await delay(60_000, undefined, { ref: false });
        })(),
      ),
    ),
  CopyFrom: ({ files }) => endOf(files.copyFrom({ ...start, path: "/" })),
  CopyTo: async ({ files }) => {
    const copied = files.copyTo(
      (async function* () {
        yield { message: { case: "start", value: { ...start, path: "/" } } } as const;
        for await (const value of endless()) yield { message: { case: "archive", value } } as const;
      })(),
    );
    return copied.then(
      () => "the end",
      (error: unknown) => fleetErrorFrom(error).reason,
    );
  },
};

/** What it resolves to, unless it takes too long. */
const inTime = (end: Promise<unknown>) => Promise.race([end, delay(patienceMs, "late", { ref: false })]);

describe("streams of a key that may not have them any more", function () {
  this.timeout(60_000);
  this.slow(10_000);
  let fleet: Fleet;
  let engines: EndlessEngine[];
  let part: Fairlead;
  let whole: Fairlead;

  const label = (host: string, site: string) =>
    fleet.api.hosts.updateHost({ host, labels: { labels: { site } } });
  const openStreams = (count: number) =>
    eventually(() => fleet.plane.controlPlane.dataStreams.size === count, `${count} streams`, patienceMs);

  beforeEach(async () => {
    fleet = await Fleet.start();
    engines = ["berlin", "paris"].map(() => new EndlessEngine({ clock: systemClock }));
    for (const [at, host] of ["berlin", "paris"].entries()) {
      await fleet.enrol(host, engines[at] ?? assert.fail());
      await fleet.make(host, host === "berlin" ? "box" : "other", {});
      await label(host, "here");
    }
    const { key } = await fleet.api.apiKeys.createApiKey({
      name: "part",
      role: Role.OPERATOR,
      hostSelector: ["site=here"],
    });
    const access = keyFileOf(fleet.plane.controlPlane.keyFile ?? "");
    whole = fleet.client("grpc");
    part = createFairlead({ ...access, apiKey: key, protocol: "grpc", retry: { attempts: 1 } });
  });
  afterEach(async () => {
    for (const api of [part, whole]) api.close();
    await fleet[Symbol.asyncDispose]();
    for (const engine of engines) await engine.close();
  });

  for (const [what, open] of Object.entries(streams)) {
    it(`V06 ${what} ends as if the host were not there, at both ends, and whoever sees all hosts reads on`, async () => {
      const end = open(part);
      await openStreams(1);
      const all = open(whole);
      await openStreams(2);
      await label("paris", "there");
      await label("berlin", "there");
      assert.equal(await inTime(end), "HOST_NOT_FOUND");
      await openStreams(1);
      assert.equal(await Promise.race([all, delay(100, "goes on")]), "goes on");
    });
  }

  it("V04 all of them end at both ends when their key is revoked, and whoever has another key reads on", async () => {
    const ends = Object.values(streams).map((open) => open(part));
    await openStreams(ends.length);
    const other = endOf(whole.logs.streamLogs({ ...start, follow: true }));
    await openStreams(ends.length + 1);
    await fleet.api.apiKeys.revokeApiKey({ key: "part" });
    const expected = ends.map(() => "UNAUTHENTICATED");
    assert.deepEqual(await inTime(Promise.all(ends)), expected);
    await openStreams(1);
    assert.equal(await Promise.race([other, delay(100, "goes on")]), "goes on");
  });

  it("V06 StreamLogs of many containers tells that one is gone, and goes on with the others", async () => {
    const read = new AbortController();
    const ended: string[] = [];
    const request = { selector: { nameContains: "o" }, follow: true, followRestarts: true };
    const reading = (async () => {
      for await (const { message } of part.logs.streamLogs(request, { signal: read.signal })) {
        if (message.case !== "end") continue;
        ended.push(`${message.value.source?.containerName} ${message.value.reason}`);
      }
    })().catch((error: unknown) => fleetErrorFrom(error).reason);
    await openStreams(2);
    await label("berlin", "there");
    await eventually(() => ended.length === 1, "it is told", patienceMs);
    assert.deepEqual(ended, ["box HOST_NOT_FOUND"]);
    await openStreams(1);
    read.abort();
    assert.equal(await reading, "CANCELLED");
  });

  it("V06 StreamStats tells that a host is gone, and nothing more of it, and goes on with the others", async () => {
    const read = new AbortController();
    const told: string[] = [];
    const request = { interval: durationFromMs(60_000), includeHosts: true };
    const reading = (async () => {
      for await (const { source, failure, containers } of part.stats.streamStats(request, {
        signal: read.signal,
      })) {
        if (source === undefined) continue;
        told.push(`${source.name} ${failure?.reason ?? containers.length}`);
      }
    })().catch((error: unknown) => fleetErrorFrom(error).reason);
    await eventually(() => told.length === 2, "both are measured", patienceMs);
    assert.deepEqual(told.toSorted(), ["berlin 1", "paris 1"]);
    await label("berlin", "there");
    await eventually(() => told.length > 2, "it is told", patienceMs);
    assert.deepEqual(told.slice(2), ["berlin HOST_NOT_FOUND"]);
    await openStreams(1);
    read.abort();
    assert.equal(await reading, "CANCELLED");
  });

  it("V06 WatchCommand and WaitCommand end as if there were no such command", async () => {
    // It ignores the signal, so that this takes as long.
    const stopping = whole.containers.stopContainer({ ...start, gracePeriod: durationFromMs(6_000) });
    const command = await eventually(
      async () =>
        (await part.commands.listCommands({})).commands.find(({ operation }) => /stop/i.test(operation)),
      "the command",
      patienceMs,
    );
    const watched = endOf(part.commands.watchCommand({ id: command.id }));
    const all = endOf(whole.commands.watchCommand({ id: command.id }));
    const waited = part.commands.waitCommand({ id: command.id, timeout: durationFromMs(1_500) }).then(
      () => "an answer",
      (error: unknown) => fleetErrorFrom(error).reason,
    );
    await delay(100);
    await label("berlin", "there");
    assert.equal(await inTime(watched), "COMMAND_NOT_FOUND");
    assert.equal(await inTime(waited), "COMMAND_NOT_FOUND");
    assert.equal(await Promise.race([all, delay(100, "goes on")]), "goes on");
    await stopping;
  });

  it("V06 WatchEvents tells nothing more of the host, and goes on", async () => {
    const read = new AbortController();
    const told: string[] = [];
    const reading = (async () => {
      for await (const { event } of part.events.watchEvents({}, { signal: read.signal })) {
        if (event !== undefined) told.push(event.hostName);
      }
    })().catch((error: unknown) => fleetErrorFrom(error).reason);
    await whole.containers.stopContainer({ ...start, gracePeriod: durationFromMs(0) });
    await eventually(() => told.includes("berlin"), "what happens there is told", patienceMs);
    await label("berlin", "there");
    await delay(100);
    told.length = 0;
    await whole.containers.startContainer(start);
    await whole.containers.stopContainer({ container: "other", gracePeriod: durationFromMs(0) });
    await eventually(() => told.includes("paris"), "what happens elsewhere is told", patienceMs);
    assert.ok(!told.includes("berlin"));
    read.abort();
    assert.equal(await reading, "CANCELLED");
  });
});
