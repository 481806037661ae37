import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import { createServer, type AddressInfo } from "node:net";
import { connect as connectTls } from "node:tls";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CertificateAuthority } from "../../src/control-plane/certificates/certificate-authority.ts";
import { ChangingTls } from "../../src/control-plane/certificates/tls-identity.ts";
import { type AgentsListener, startAgentsListener } from "../../src/control-plane/session/agents-listener.ts";
import {
  AgentService,
  AgentStreamRequestSchema,
  AgentStreamResponseSchema,
} from "../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import { HelloSchema } from "../../src/gen/fairlead/agent/v1/handshake_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { closeApis, startApi } from "../rpc/api-harness.ts";
import { eventually, type TestControlPlane, testControlPlane } from "../support/control-plane-harness.ts";
import { grpcHead, grpcMessage, HandMadePeer } from "../support/hand-made-peer.ts";
import { flags, frame, frameTypes, preface, uint32 } from "../support/http2-frames.ts";
import type { RawAgent } from "../support/raw-agent.ts";

const path = `/${AgentService.typeName}/AgentStream`;
const initialWindowSize = 4;
const maxConcurrentStreams = 3;
const maxHeaderListSize = 6;
const nothingIsRead = Buffer.concat([Buffer.from([0, initialWindowSize]), uint32(0)]);

/** What a client that begins TLS says first. */
async function clientHello(): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connectTls({ port, host: "127.0.0.1", servername: "localhost", ALPNProtocols: ["h2"] });
  client.on("error", () => undefined);
  const [socket] = (await once(server, "connection")) as [HandMadePeer["socket"]];
  const [hello] = (await once(socket, "data")) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

describe("peers that say too little", () => {
  let authority: CertificateAuthority;
  let tls: ChangingTls;
  let hello: Buffer;
  before(async () => {
    authority = await CertificateAuthority.create(systemClock);
    const { certificate: cert, privateKey: key } = await authority.issueServer(["127.0.0.1", "localhost"]);
    tls = new ChangingTls({ cert, key });
    hello = await clientHello();
  });
  afterEach(closeApis);

  const agents = (withTls: boolean): Promise<AgentsListener> =>
    startAgentsListener({
      host: "127.0.0.1",
      port: 0,
      tls: withTls ? tls : undefined,
      take: () => assert.fail("nobody gets so far"),
      takeData: () => assert.fail("nobody gets so far"),
      greetingMs: 300,
    });
  // At a byte in 0.1 s all of it takes 20 s. The end comes from the limits, which are 0.3 s here.
  const slowHead = Buffer.from(`GET /healthz HTTP/1.1\r\nX-Slow: ${"y".repeat(170)}`);
  const slowPreface = Buffer.concat([
    preface,
    ...Array<Buffer>(20).fill(frame(frameTypes.settings, flags.none, 0)),
  ]);

  for (const [what, withTls, ca, bytes] of [
    ["a ClientHello of TLS", true, false, () => hello.subarray(0, 200)],
    ["the preface of HTTP/2, within TLS", true, true, () => preface],
    ["the preface of HTTP/2, without TLS", false, false, () => preface],
    ["nothing at all, within TLS", true, true, () => Buffer.alloc(0)],
    ["nothing at all, without TLS", false, false, () => Buffer.alloc(0)],
  ] as const) {
    it(`V09 agents: a peer that says ${what}, byte by byte, is ended in time and forgotten`, async function () {
      this.timeout(15_000);
      const listener = await agents(withTls);
      try {
        const said = bytes();
        const peer = await HandMadePeer.dial(listener.port, ca ? authority.certificate : undefined);
        const sent = await peer.drip(said, 100);
        if (said.byteLength > 0) assert.ok(sent < said.byteLength, "it could say all of it");
        await peer.over();
        await eventually(() => listener.connectionCount === 0, "it is forgotten");
      } finally {
        await listener.close();
      }
    });
  }

  for (const [what, protocol, bytes] of [
    ["a ClientHello of TLS", undefined, () => hello.subarray(0, 200)],
    ["the head of a request of HTTP/1.1", "http/1.1", () => slowHead],
    ["the beginning of HTTP/2", "h2", () => slowPreface],
  ] as const) {
    it(`V09 api: a client that says ${what} byte by byte is ended in time and forgotten`, async function () {
      this.timeout(30_000);
      const api = await startApi({}, { tls, patience: { firstBytesMs: 300, headMs: 300 } });
      const ca = protocol === undefined ? undefined : authority.certificate;
      const peer = await HandMadePeer.dial(api.server.address.port, ca, protocol);
      const said = bytes();
      assert.ok((await peer.drip(said, 100)) < said.byteLength, "it could say all of it");
      await eventually(() => api.server.connectionCount === 0, "it is forgotten");
    });
  }
});

/** The message of a stream's first frame of DATA. */
function firstMessage(peer: HandMadePeer, streamId: number) {
  const { payload } =
    peer.received.find((one) => one.type === frameTypes.data && one.streamId === streamId) ??
    assert.fail("nothing came");
  return fromBinary(AgentStreamResponseSchema, payload.subarray(5)).message;
}

/** What a message of gRPC begins with. */
function saying(bytes: number): Buffer {
  return Buffer.concat([Buffer.from([0]), uint32(bytes)]);
}

/** A peer that has begun, and holds itself to what it may. */
async function begun(plane: TestControlPlane, settings?: Uint8Array): Promise<HandMadePeer> {
  const peer = await HandMadePeer.dial(plane.controlPlane.agentsAddress.port, plane.ca);
  peer.begin(settings);
  await peer.frame(({ type, flag }) => type === frameTypes.settings && flag === flags.ack);
  peer.send(frame(frameTypes.settings, flags.ack, 0));
  return peer;
}

describe("peers that open much and read little, on the agents' port", function () {
  this.timeout(60_000);

  it("V09 64 streams of a connection are heard, and one more ends it", async () => {
    await using plane = await testControlPlane();
    const peer = await begun(plane);
    const { payload } = (await peer.frame(({ type }) => type === frameTypes.settings)) ?? assert.fail();
    assert.deepEqual(settingsOf(payload), { [maxConcurrentStreams]: 64, [maxHeaderListSize]: 16 * 1024 });
    for (let at = 0; at < 64; at += 1) peer.send(grpcHead(2 * at + 1, path));
    await eventually(() => peer.count(frameTypes.data) === 64, "64 are challenged");
    assert.equal(peer.isOver, false);
    peer.send(grpcHead(129, path));
    await peer.over();
    await stillServes(plane);
  });

  it("V09 who does not acknowledge the limit of streams has the others refused, and is ended when they are many", async () => {
    await using plane = await testControlPlane();
    const peer = await HandMadePeer.dial(plane.controlPlane.agentsAddress.port, plane.ca);
    peer.begin();
    for (let at = 0; at < 80; at += 1) peer.send(grpcHead(2 * at + 1, path));
    await eventually(() => peer.count(frameTypes.reset) === 16, "16 are refused");
    for (const { type, payload } of peer.received) {
      if (type === frameTypes.reset) assert.equal(payload.readUInt32BE(0), constants.NGHTTP2_REFUSED_STREAM);
    }
    await eventually(() => peer.count(frameTypes.data) === 64, "64 are challenged");
    await peer.flood((at) => grpcHead(2 * (at + 80) + 1, path), { max: 5_000, step: 100 });
    assert.ok(peer.isOver, "it lives");
    assert.ok(peer.count(frameTypes.reset) < 2_500, `${peer.count(frameTypes.reset)} were refused`);
    await stillServes(plane);
  });

  it("V09 headers of more than 16 KiB, or more than 128 of them, open nothing", async () => {
    await using plane = await testControlPlane();
    const long = { "x-long": "y".repeat(15_000), "x-longer": "y".repeat(5_000) };
    const many = Object.fromEntries(Array.from({ length: 200 }, (_none, at) => [`x-${at}`, "y"]));
    for (const headers of [long, many]) {
      const peer = await begun(plane);
      const head = grpcHead(1, path, flags.none, headers);
      const block = head.subarray(9);
      peer.send(frame(frameTypes.headers, flags.none, 1, block.subarray(0, 16_000)));
      peer.send(frame(frameTypes.continuation, flags.endHeaders, 1, block.subarray(16_000)));
      const answer = await peer.frame(({ type }) =>
        [frameTypes.reset, frameTypes.headers].includes(type as never),
      );
      assert.equal(answer?.type, frameTypes.reset);
      assert.equal(answer.payload.readUInt32BE(0), constants.NGHTTP2_ENHANCE_YOUR_CALM);
      peer.close();
    }
    await stillServes(plane);
  });

  it("V09 a stream whose first message says that it is longer than a Hello may be is reset before it comes, also when it says so byte by byte", async () => {
    await using plane = await testControlPlane();
    const peer = await begun(plane);
    peer.send(Buffer.concat([grpcHead(1, path), frame(frameTypes.data, flags.none, 1, saying(66_561))]));
    const reset = await peer.frame(({ type, streamId }) => type === frameTypes.reset && streamId === 1);
    assert.equal(reset?.payload.readUInt32BE(0), constants.NGHTTP2_ENHANCE_YOUR_CALM);
    peer.send(grpcHead(3, path));
    for (const byte of saying(1_000_000)) {
      peer.send(frame(frameTypes.data, flags.none, 3, Buffer.from([byte])));
    }
    await peer.frame(({ type, streamId }) => type === frameTypes.reset && streamId === 3);
    // One that may be so long is read, and answered with what is wrong with it.
    peer.send(Buffer.concat([grpcHead(5, path), frame(frameTypes.data, flags.none, 5, saying(66_560))]));
    for (let sent = 0; sent < 66_560; sent += 13_312) {
      peer.send(frame(frameTypes.data, flags.none, 5, new Uint8Array(13_312)));
      if (sent === 39_936) await peer.frame(({ type }) => type === frameTypes.windowUpdate);
    }
    const answer = await peer.frame(
      ({ type, flag, streamId }) =>
        streamId === 5 && (type === frameTypes.reset || (type === frameTypes.headers && (flag & 1) === 1)),
    );
    assert.equal(answer?.type, frameTypes.headers);
    await stillServes(plane);
  });

  it("V09 streams whose peer lets nothing be sent end in time, free their places, and their connection is cut", async () => {
    await using plane = await testControlPlane({
      session: {
        handshakeTimeoutMs: 500,
        maxHandshakes: 64,
        maxHandshakesEach: 64,
        maxFailedHandshakes: 1_000,
      },
    });
    const peer = await begun(plane, nothingIsRead);
    for (let at = 0; at < 64; at += 1) peer.send(grpcHead(2 * at + 1, path));
    await eventually(() => peer.count(frameTypes.headers) === 64, "all are heard");
    assert.equal(peer.count(frameTypes.data), 0);
    await stillServes(plane);
    await eventually(() => peer.isOver, "it is cut", 20_000);
    assert.equal(peer.count(frameTypes.data), 0);
  });

  it("V09 an agent that does not read its welcome has a session for its lease, and is cut then", async () => {
    await using plane = await testControlPlane({ session: { leaseMs: 500 } });
    const peer = await begun(plane, nothingIsRead);
    peer.send(grpcHead(1, path));
    await eventually(() => peer.count(frameTypes.headers) === 1, "it is heard");
    peer.send(frame(frameTypes.windowUpdate, flags.none, 1, uint32(100)));
    await eventually(() => peer.count(frameTypes.data) === 1, "it is challenged");
    const challenge = firstMessage(peer, 1);
    assert.ok(challenge.case === "challenge");
    const token = await plane.controlPlane.createToken("test");
    peer.send(grpcMessage(1, registrationOf(plane.stream(), token, challenge.value)));
    await eventually(() => plane.controlPlane.sessions.size === 1, "it has a session");
    await eventually(() => plane.controlPlane.sessions.size === 0, "its lease is over");
    await eventually(() => peer.isOver, "it is cut", 20_000);
    await stillServes(plane);
  });
});

function settingsOf(payload: Buffer): Record<number, number> {
  const count = payload.byteLength / 6;
  return Object.fromEntries(
    Array.from({ length: count }, (_none, at) => [
      payload.readUInt16BE(6 * at),
      payload.readUInt32BE(6 * at + 2),
    ]),
  );
}

/** What an agent says that enrols. */
function registrationOf(
  agent: RawAgent,
  token: string,
  { nonce }: { readonly nonce: Uint8Array },
): Uint8Array {
  const { publicKey } = agent.identity;
  const said = agent.hello({ case: "registration", value: { token, publicKey } });
  const hello = toBinary(HelloSchema, create(HelloSchema, said));
  const value = { hello, signature: agent.sign(hello, nonce) };
  return toBinary(
    AgentStreamRequestSchema,
    create(AgentStreamRequestSchema, { message: { case: "hello", value } }),
  );
}

/** Somebody honest gets in. */
async function stillServes(plane: TestControlPlane): Promise<void> {
  const agent = await plane.enrolled();
  agent.close();
}
