import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { CertificateAuthority } from "../../src/control-plane/certificates/certificate-authority.ts";
import { ChangingTls } from "../../src/control-plane/certificates/tls-identity.ts";
import { FileService } from "../../src/gen/fairlead/container/v1/file_service_pb.js";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import type { ApiServerOptions } from "../../src/rpc/api-server.ts";
import { flags, frame, frameTypes, headerBlock, preface, uint32 } from "../support/http2-frames.ts";
import { type ApiUnderTest, closeApis, eventually, startApi } from "./api-harness.ts";
import { clientOf, transports } from "./callers.ts";

const grpcTo = transports["gRPC over HTTP/2"] ?? assert.fail();
const rpcPath = `/${HostService.typeName}/GetHost`;
const big = "x".repeat(200_000);

/** The first frame of one of these types that comes in. */
async function firstFrameOf(
  socket: Socket,
  types: readonly number[],
): Promise<{ type: number; payload: Buffer }> {
  let bytes: Buffer = Buffer.alloc(0);
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    while (bytes.byteLength >= 9 && bytes.byteLength >= 9 + bytes.readUIntBE(0, 3)) {
      const length = 9 + bytes.readUIntBE(0, 3);
      const [type, payload] = [bytes.readUInt8(3), bytes.subarray(9, length)];
      if (types.includes(type)) return { type, payload };
      bytes = bytes.subarray(length);
    }
  }
  return assert.fail("the connection ended without such a frame");
}

async function dial(api: ApiUnderTest): Promise<Socket> {
  const socket = connect(api.server.address.port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

async function* slowly() {
  for (let piece = 0; piece < 4; piece += 1) {
    await delay(150);
    yield { message: { case: "archive", value: new Uint8Array(10) } } as const;
  }
}

async function stillServes(api: ApiUnderTest): Promise<void> {
  const { host } = await clientOf(HostService, grpcTo(api.url)).getHost({ host: "a" });
  assert.equal(host?.name, "a");
}

/** Many frames in a row. */
function repeat(count: number, make: (at: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_none, at) => make(at)));
}

/** The head of a call. */
function head(streamId: number, flag: number, headers: Record<string, string> = {}): Buffer {
  return frame(
    frameTypes.headers,
    flag,
    streamId,
    headerBlock({
      ":method": "POST",
      ":scheme": "http",
      ":path": rpcPath,
      ":authority": "a",
      "content-type": "application/grpc",
      ...headers,
    }),
  );
}

/** An API with a stream that never ends and is as fast as its reader. */
function start(options: Partial<ApiServerOptions> = {}): Promise<ApiUnderTest> {
  return startApi(
    {
      hosts: { getHost: ({ host }) => ({ host: { name: host } }) },
      events: {
        async *watchEvents(_request, { signal }) {
          while (!signal.aborted) yield { event: { actor: big }, cursor: 1n };
        },
      },
    },
    options,
  );
}

/** Whether the API ends a connection on which somebody sends this. */
async function endsBy(api: ApiUnderTest, bytes: Buffer): Promise<void> {
  const socket = await dial(api);
  socket.resume();
  socket.write(Buffer.concat([preface, frame(frameTypes.settings, 0, 0), bytes]));
  await once(socket, "close");
  await stillServes(api);
}

describe("hostile clients", () => {
  let authority: CertificateAuthority;
  let tls: ChangingTls;
  before(async () => {
    authority = await CertificateAuthority.create(systemClock);
    const { certificate: cert, privateKey: key } = await authority.issueServer(["127.0.0.1"]);
    tls = new ChangingTls({ cert, key });
  });
  afterEach(closeApis);

  const dialTls = async (api: ApiUnderTest, protocol: string): Promise<TLSSocket> => {
    const { port } = api.server.address;
    const socket = connectTls({
      port,
      host: "127.0.0.1",
      ca: authority.certificate,
      ALPNProtocols: [protocol],
    });
    socket.on("error", () => undefined);
    await once(socket, "secureConnect");
    return socket;
  };
  it("V09 ends who floods with PING frames, and not who sends some", async () => {
    const api = await start();
    const socket = await dial(api);
    const ping = frame(frameTypes.ping, 0, 0, Buffer.alloc(8));
    socket.write(Buffer.concat([preface, frame(frameTypes.settings, 0, 0), repeat(50, () => ping)]));
    socket.resume();
    await delay(100);
    assert.equal(socket.closed, false);
    socket.destroy();
    await endsBy(
      api,
      repeat(200, () => ping),
    );
  });

  it("V09 lets who makes calls send a PING frame for each piece of an answer, and not many after one answer", async () => {
    const api = await start();
    const session = connectHttp2(api.url);
    session.on("error", () => undefined);
    for (let count = 0; count < 500; count += 1) {
      const stream = session.request({ ":method": "GET", ":path": "/healthz" });
      const ponged = new Promise((resolve) => stream.once("data", () => session.ping(resolve)));
      await Promise.all([once(stream, "end"), ponged]);
    }
    assert.equal(session.closed, false);
    let ponged = 0;
    for (; !session.destroyed && ponged < 20_000; ponged += 1) {
      await new Promise((resolve) => session.ping(resolve));
    }
    assert.ok(session.destroyed, `${ponged} were answered`);
    await stillServes(api);
  });

  it("V09 ends who floods with SETTINGS frames", async () => {
    const api = await start();
    await endsBy(
      api,
      repeat(40, (at) => frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 0, 0, 0xff, at]))),
    );
  });

  it("V09 ends who opens streams only to reset them", async () => {
    const api = await start();
    await endsBy(
      api,
      repeat(3_000, (at) =>
        Buffer.concat([
          head(2 * at + 1, flags.endHeaders),
          frame(frameTypes.reset, 0, 2 * at + 1, uint32(constants.NGHTTP2_CANCEL)),
        ]),
      ),
    );
  });

  it("V09 ends who sends headers without an end", async () => {
    const api = await start();
    await endsBy(
      api,
      Buffer.concat([
        head(1, flags.none),
        repeat(1_000, () => frame(frameTypes.continuation, 0, 1, headerBlock({ "x-more": "y".repeat(100) }))),
      ]),
    );
  });

  it("V09 refuses headers that are too long or too many, over both versions", async () => {
    const api = await start();
    const long = { "x-long": "y".repeat(20_000) };
    const many = Object.fromEntries(Array.from({ length: 200 }, (_none, at) => [`x-${at}`, "y"]));
    for (const headers of [long, many]) {
      const socket = await dial(api);
      const answered = firstFrameOf(socket, [frameTypes.headers, frameTypes.reset, frameTypes.goaway]);
      const block = headerBlock({
        ":method": "GET",
        ":scheme": "http",
        ":path": "/healthz",
        ":authority": "a",
        ...headers,
      });
      const [first, second] = [block.subarray(0, 15_000), block.subarray(15_000)];
      const isWhole = second.byteLength === 0;
      socket.write(
        Buffer.concat([
          preface,
          frame(frameTypes.settings, 0, 0),
          // The limit holds from when it is acknowledged; before, that of the protocol's library does, 64 KiB.
          frame(frameTypes.settings, flags.ack, 0),
          frame(frameTypes.headers, flags.endStream | (isWhole ? flags.endHeaders : 0), 1, first),
          isWhole ? Buffer.alloc(0) : frame(frameTypes.continuation, flags.endHeaders, 1, second),
        ]),
      );
      const { type, payload } = await answered;
      assert.equal(type, frameTypes.reset);
      assert.equal(payload.readUInt32BE(0), constants.NGHTTP2_ENHANCE_YOUR_CALM);
      socket.destroy();
    }
    assert.equal((await fetch(`${api.url}/healthz`, { headers: long })).status, 431);
    await stillServes(api);
  });

  it("V09 a health call, which needs no key, is answered before it comes when it says that it is longer than 4 KiB", async () => {
    const api = await start();
    const check = "/grpc.health.v1.Health/Check";
    const modern = await dial(api);
    const answered = firstFrameOf(modern, [frameTypes.headers, frameTypes.reset]);
    modern.write(
      Buffer.concat([
        preface,
        frame(frameTypes.settings, 0, 0),
        head(1, flags.endHeaders, { ":path": check }),
        frame(frameTypes.data, 0, 1, Buffer.concat([Buffer.from([0]), uint32(4_097)])),
      ]),
    );
    assert.equal((await answered).type, frameTypes.headers);
    modern.destroy();
    const older = await dial(api);
    older.write(
      `POST ${check} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 4097\r\n\r\n{`,
    );
    const [answer] = (await once(older, "data")) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 429 .*resource_exhausted/s);
    older.destroy();
    await stillServes(api);
  });

  it("V09 ends a TLS connection that agreed on a version and then says nothing, or too little", async () => {
    const api = await start({ tls, patience: { firstBytesMs: 200, headMs: 200 } });
    const silent = await dialTls(api, "h2");
    const slow = await dialTls(api, "http/1.1");
    slow.write("GET / HTTP/1.1\r\nHost:");
    const halfway = connect(api.server.address.port, "127.0.0.1");
    halfway.on("error", () => undefined);
    halfway.write(Buffer.from([0x16, 0x03, 0x01, 0x01]));
    for (const socket of [silent, slow, halfway]) socket.resume();
    await Promise.all([once(silent, "close"), once(slow, "close"), once(halfway, "close")]);
    await eventually(() => api.server.connectionCount === 0, "all are forgotten");
  });

  it("V09 ends plaintext HTTP/2 without a first frame", async () => {
    const api = await start({ patience: { firstBytesMs: 200 } });
    const socket = await dial(api);
    socket.write(preface);
    socket.resume();
    await once(socket, "close");
  });

  for (const protocol of ["HTTP/1.1", "HTTP/2"]) {
    it(`V09 ${protocol}: ends a request whose body does not come, and frees its place`, async () => {
      const api = await start({ patience: { requestMs: 300, headMs: 200 } });
      const socket = await dial(api);
      socket.write(
        protocol === "HTTP/1.1"
          ? `POST ${rpcPath} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{`
          : Buffer.concat([preface, frame(frameTypes.settings, 0, 0), head(1, flags.endHeaders)]),
      );
      socket.resume();
      await eventually(() => api.server.openCallCount === 1, "it holds a place");
      await eventually(() => api.server.openCallCount === 0, "its place is free");
      await stillServes(api);
      socket.destroy();
    });

    it(`V09 ${protocol}: lets a client go that does not read what it asked for`, async () => {
      const api = await start({ patience: { slowClientMs: 300 } });
      const socket = await dial(api);
      const watch = `/${EventService.typeName}/WatchEvents`;
      const envelope = Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d]);
      const headers = { ":path": watch, "content-type": "application/connect+json" };
      socket.pause();
      socket.write(
        protocol === "HTTP/1.1"
          ? Buffer.concat([
              Buffer.from(
                `POST ${watch} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+json\r\nContent-Length: 7\r\n\r\n`,
              ),
              envelope,
            ])
          : Buffer.concat([
              preface,
              frame(frameTypes.settings, 0, 0),
              head(1, flags.endHeaders, headers),
              frame(frameTypes.data, flags.endStream, 1, envelope),
            ]),
      );
      await eventually(() => api.server.openCallCount === 1, "it holds a place");
      await eventually(() => api.server.openCallCount === 0, "its place is free");
      await stillServes(api);
      socket.destroy();
    });
  }

  it("V09 HTTP/1.1: lets a client go that asks for many pages and reads none", async () => {
    const api = await start({ patience: { slowClientMs: 300 } });
    const socket = await dial(api);
    socket.pause();
    const asked = Buffer.from("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200_000));
    socket.write(asked);
    await eventually(() => api.server.connectionCount === 1, "it is connected");
    await eventually(() => api.server.connectionCount === 0, "it is let go");
    socket.destroy();
  });

  it("V09 HTTP/1.1: ends a request for nothing whose body does not come", async () => {
    const api = await start({ patience: { requestMs: 300, headMs: 200 } });
    const socket = await dial(api);
    socket.write("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{");
    socket.resume();
    await eventually(() => api.server.connectionCount === 1, "it is connected");
    await eventually(() => api.server.connectionCount === 0, "it is let go");
    socket.destroy();
  });

  for (const name of ["Connect over HTTP/1.1", "gRPC over HTTP/2"]) {
    it(`${name}: a stream from the caller may take longer than a request`, async () => {
      const taken: number[] = [];
      const api = await startApi(
        {
          files: {
            async copyTo(requests) {
              for await (const { message } of requests) {
                if (message.case === "archive") taken.push(message.value.length);
              }
              return { archiveBytes: BigInt(taken.length) };
            },
          },
        },
        { patience: { requestMs: 200, headMs: 100, slowClientMs: 5_000 } },
      );
      const client = clientOf(FileService, (transports[name] ?? assert.fail())(api.url));
      assert.equal(Number((await client.copyTo(slowly())).archiveBytes), 4);
    });
  }

  it("HTTP/1.1 and HTTP/2: a call that waits longer than a client may be slow is left alone", async () => {
    const answered = Promise.withResolvers<void>();
    const api = await startApi(
      { hosts: { getHost: () => answered.promise.then(() => ({})) } },
      { patience: { slowClientMs: 100, requestMs: 200, headMs: 100 } },
    );
    const calls = ["Connect over HTTP/1.1", "Connect over HTTP/2"].map((name) =>
      clientOf(HostService, (transports[name] ?? assert.fail())(api.url)).getHost({ host: "a" }),
    );
    await delay(600);
    answered.resolve();
    await Promise.all(calls);
  });
});
