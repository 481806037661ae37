import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import {
  type GuardedControlPlane,
  guardedControlPlane,
} from "../control-plane/access/guarded-control-plane.ts";
import { eventually } from "../support/control-plane-harness.ts";
import {
  hostileBodies,
  hostileBytes,
  type HostileBody,
  type HostileBytes,
} from "../support/hostile-requests.ts";

// FAIRLEAD_FUZZ_SEED plays a run again; a failure prints the path to its counterexample, too.
const seed = Number(process.env["FAIRLEAD_FUZZ_SEED"] ?? Math.trunc(Math.random() * 2 ** 31));
const path = `/${HostService.typeName}/ListHosts`;
// A line of a stack, a file of ours, or the database's language.
const inside = /\n\s+at \S+ \(|file:\/\/|src\/[\w-]+\/|node_modules|SQLITE_|select .* from/i;

// What is sent is to reach what is behind TLS, too.
const plaintext = { tls: { kind: "off" } } as const;

/** Sends bytes as they are, and gives what came back. */
async function send(port: number, { pieces }: HostileBytes): Promise<string> {
  const socket = dial(port);
  const received: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => received.push(chunk));
  await once(socket, "connect");
  for (const piece of pieces) {
    socket.write(piece);
    await delay(1);
  }
  await Promise.race([once(socket, "close"), delay(30)]);
  socket.destroy();
  return Buffer.concat(received).toString("latin1");
}

function dial(port: number): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  return socket;
}

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

async function post(
  url: string,
  { path: where, headers, body }: HostileBody,
  version: 1 | 2,
): Promise<Answer> {
  const { origin } = new URL(url);
  if (version === 1) {
    const init = { method: "POST", headers, body: Buffer.from(body), signal: AbortSignal.timeout(5_000) };
    try {
      const answer = await fetch(`${origin}${where}`, init);
      return { status: answer.status, text: await answer.text() };
    } catch (error) {
      // Cut off while it still sent: refused, too.
      if (error instanceof Error && error.name === "TimeoutError") throw error;
      return { status: undefined, text: "" };
    }
  }
  const session = connectHttp2(origin);
  session.on("error", () => undefined);
  const stream = session.request({ ":method": "POST", ":path": where, ...headers });
  const lines: string[] = [];
  let status: number | undefined;
  stream.setEncoding("latin1");
  stream.on("error", () => undefined);
  stream.on("response", (head) => (status = head[":status"]));
  stream.on("data", (chunk: string) => lines.push(chunk));
  stream.on("trailers", (trailers) => lines.push(decodeURIComponent(JSON.stringify(trailers))));
  stream.end(Buffer.from(body));
  await once(stream, "close", { signal: AbortSignal.timeout(5_000) });
  session.destroy();
  return { status, text: lines.join("\n") };
}

/** What an honest caller gets all the while. */
async function honestCall({ client }: GuardedControlPlane): Promise<void> {
  await client(HostService).listHosts({}, { timeoutMs: 20_000 });
}

function bugsIn({ plane }: GuardedControlPlane): readonly string[] {
  return plane.logLines.filter((line) => (JSON.parse(line) as { level: number }).level >= 50);
}

describe("hostile callers", () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown) => void unhandled.push(error);
  before(() => process.on("unhandledRejection", onUnhandled));
  after(() => process.off("unhandledRejection", onUnhandled));

  it(`V09 any bytes on the API's port harm nobody, strangers' and callers' alike (seed ${seed})`, async function () {
    this.timeout(120_000);
    await using guarded = await guardedControlPlane(plaintext);
    const { port } = guarded.plane.controlPlane.apiAddress;
    let [runs, answered] = [0, 0];
    await fc.assert(
      fc.asyncProperty(hostileBytes(path, guarded.adminKey), async (bytes) => {
        const answer = await send(port, bytes);
        assert.doesNotMatch(answer, inside);
        assert.doesNotMatch(answer, /^HTTP\/1\.1 500/m);
        if (answer !== "") answered += 1;
        runs += 1;
        if (runs % 25 === 0) await honestCall(guarded);
      }),
      { numRuns: 300, seed },
    );
    assert.ok(answered > 30, `only ${answered} were answered at all`);
    await honestCall(guarded);
    assert.deepEqual(bugsIn(guarded), []);
    assert.deepEqual(unhandled, []);
  });

  for (const version of [1, 2] as const) {
    it(`V09 bodies that lie, or grow when they are read, are refused, over HTTP/${version} (seed ${seed})`, async function () {
      this.timeout(120_000);
      await using guarded = await guardedControlPlane(plaintext);
      const before = process.memoryUsage().rss;
      let runs = 0;
      const statuses = new Set<number | undefined>();
      await fc.assert(
        fc.asyncProperty(hostileBodies(path, guarded.adminKey), async (body) => {
          const { status, text } = await post(guarded.baseUrl, body, version);
          assert.doesNotMatch(text, inside);
          assert.notEqual(status, 500, text);
          statuses.add(status);
          runs += 1;
          if (runs % 25 === 0) await honestCall(guarded);
        }),
        { numRuns: 150, seed },
      );
      const missing = new Set([200, 400, 401]).difference(statuses);
      assert.equal(missing.size, 0, `none was answered with ${[...missing].join(", ")}`);
      await honestCall(guarded);
      assert.deepEqual(bugsIn(guarded), []);
      assert.deepEqual(unhandled, []);
      // One bomb alone is 64 MiB once it is read, and there were dozens.
      const grown = (process.memoryUsage().rss - before) / 1024 / 1024;
      assert.ok(grown < 512, `grown by ${Math.round(grown)} MiB`);
    });
  }

  it(`V09 500 connections that send a little and then wait leave room for an honest caller (seed ${seed})`, async function () {
    this.timeout(60_000);
    await using guarded = await guardedControlPlane(plaintext);
    const { port } = guarded.plane.controlPlane.apiAddress;
    const attacks = fc.sample(hostileBytes(path, "no key"), { numRuns: 500, seed });
    const sockets = attacks.map(({ pieces }) => {
      const socket = dial(port);
      const bytes = Buffer.concat(pieces);
      socket.write(bytes.subarray(0, Math.ceil(bytes.byteLength / 2)));
      return socket;
    });
    await Promise.race([Promise.all(sockets.map((socket) => once(socket, "connect"))), delay(5_000)]);
    for (let call = 0; call < 20; call += 1) await honestCall(guarded);
    assert.ok(
      sockets.some(({ closed }) => !closed),
      "they are still there",
    );
    for (const socket of sockets) socket.destroy();
    await eventually(() => sockets.every(({ closed }) => closed), "they are gone");
    assert.deepEqual(bugsIn(guarded), []);
  });
});
