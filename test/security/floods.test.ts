import assert from "node:assert/strict";
import { constants } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { AgentService } from "../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { pageOf } from "../support/api-place.ts";
import { eventually, type TestControlPlane, testControlPlane } from "../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb } from "../support/dispatching.ts";
import { grpcHead, grpcMessage, HandMadePeer } from "../support/hand-made-peer.ts";
import { flags, frame, frameTypes, headerBlock, uint32 } from "../support/http2-frames.ts";
import type { RawAgent } from "../support/raw-agent.ts";

const ports = {
  agents: {
    of: (plane: TestControlPlane) => plane.controlPlane.agentsAddress.port,
    path: `/${AgentService.typeName}/AgentStream`,
  },
  api: {
    of: (plane: TestControlPlane) => plane.controlPlane.apiAddress.port,
    path: `/${HostService.typeName}/ListHosts`,
  },
};
type Port = keyof typeof ports;

const ping = frame(frameTypes.ping, flags.none, 0, Buffer.alloc(8));
const settings = (at: number) =>
  frame(frameTypes.settings, flags.none, 0, Buffer.from([0, 4, 0, 0, 0xff, at & 0xff]));
const cancel = (streamId: number) =>
  frame(frameTypes.reset, flags.none, streamId, uint32(constants.NGHTTP2_CANCEL));

/** Frames that get no answer, what has to come before them, and how many of them may be handled. */
interface Flood {
  readonly what: string;
  readonly max: number;
  readonly before?: (path: string) => Uint8Array;
  readonly make: (at: number, path: string) => Uint8Array;
}

const floods: readonly Flood[] = [
  {
    what: "streams that are reset at once",
    max: 2_500,
    make: (at, path) => Buffer.concat([grpcHead(2 * at + 1, path), cancel(2 * at + 1)]),
  },
  {
    what: "resets of one stream",
    max: 2_500,
    before: (path) => grpcHead(1, path),
    make: () => cancel(1),
  },
  {
    what: "empty DATA",
    max: 1_500,
    before: (path) => grpcHead(1, path),
    make: () => frame(frameTypes.data, flags.none, 1),
  },
  {
    what: "HEADERS without anything in them",
    max: 1_500,
    make: (at) => frame(frameTypes.headers, flags.endHeaders, 2 * at + 1),
  },
  {
    what: "PRIORITY",
    max: 11_000,
    make: () => frame(frameTypes.priority, flags.none, 1, Buffer.concat([uint32(0), Buffer.from([1])])),
  },
  { what: "frames of no known type", max: 11_000, make: () => frame(0x42, flags.none, 0, Buffer.alloc(4)) },
];

// Nothing else may come between these and the frame that they belong to.
const endless: Readonly<Record<string, Uint8Array>> = {
  "empty CONTINUATION": frame(frameTypes.continuation, flags.none, 1),
  CONTINUATION: frame(frameTypes.continuation, flags.none, 1, headerBlock({ "x-more": "y".repeat(100) })),
};

/** A peer that has begun. */
async function dial(plane: TestControlPlane, port: Port): Promise<HandMadePeer> {
  const peer = await HandMadePeer.dial(ports[port].of(plane), plane.ca);
  peer.begin();
  return peer;
}

/** How many connections of a port were ended for a cause. */
async function cutCount(plane: TestControlPlane, port: Port, cause: string): Promise<number> {
  const { text } = await pageOf(plane, "/metrics", { authorization: `Bearer ${plane.adminKey}` });
  const series = `fairlead_connections_cut_total{port="${port}",cause="${cause}"} `;
  const line = text.split("\n").find((one) => one.startsWith(series)) ?? "0";
  return Number(line.slice(line.lastIndexOf(" ")));
}

function codeOfGoaway(peer: HandMadePeer): number | undefined {
  return peer.received.find(({ type }) => type === frameTypes.goaway)?.payload.readUInt32BE(4);
}

function isToldOf(line: string, port: Port): boolean {
  const { msg, port: where } = JSON.parse(line) as { msg?: string; port?: string };
  return msg === "a connection was ended for what was sent on it" && where === port;
}

describe("floods of HTTP/2 frames", function () {
  this.timeout(60_000);
  let plane: TestControlPlane;
  let honest: RawAgent;
  before(async () => {
    plane = await testControlPlane({
      session: { maxFailedHandshakes: Number.POSITIVE_INFINITY, leaseMs: 600_000 },
    });
    honest = await plane.enrolled();
  });
  after(() => plane?.[Symbol.asyncDispose]());

  /** A command reaches the agent in the session that it has had all the while, and a caller is answered. */
  const stillServes = async () => {
    const call = dispatchTo(plane, honest, inspectWeb);
    honest.succeed(await honest.command());
    await call;
    const { hosts } = await plane.client(HostService).listHosts({});
    assert.equal(hosts[0]?.online, true);
  };

  for (const port of ["agents", "api"] as const) {
    const { path } = ports[port];

    for (const [state, head] of Object.entries({
      "that has said nothing else": Buffer.alloc(0),
      "with a call that gets an answer": grpcHead(1, path),
    })) {
      it(`V09 ${port}: a connection ${state} ends when it floods with PING, after few were answered`, async () => {
        const before = await cutCount(plane, port, "ping_flood");
        const peer = await dial(plane, port);
        peer.send(head);
        for (let sent = 0; sent < 20_000 && !peer.isOver; sent += 500) {
          peer.send(Buffer.concat(Array<Buffer>(500).fill(ping)));
          await delay(1);
        }
        await peer.over();
        const answered = peer.count(frameTypes.ping, true);
        assert.ok(answered < 300, `${answered} were answered`);
        assert.equal(codeOfGoaway(peer), constants.NGHTTP2_ENHANCE_YOUR_CALM);
        await eventually(
          async () => (await cutCount(plane, port, "ping_flood")) === before + 1,
          "it is counted",
        );
        await stillServes();
      });
    }

    it(`V09 ${port}: a connection that floods with SETTINGS ends after few were acknowledged`, async () => {
      const peer = await dial(plane, port);
      for (let sent = 0; sent < 5_000 && !peer.isOver; sent += 100) {
        peer.send(Buffer.concat(Array.from({ length: 100 }, (_none, at) => settings(at))));
        await delay(1);
      }
      await peer.over();
      const answered = peer.count(frameTypes.settings, true);
      assert.ok(answered <= 21, `${answered} were acknowledged`);
      assert.equal(codeOfGoaway(peer), constants.NGHTTP2_ENHANCE_YOUR_CALM);
      await eventually(async () => (await cutCount(plane, port, "settings_flood")) > 0, "it is counted");
      assert.ok(plane.logLines.some((line) => isToldOf(line, port)));
      await stillServes();
    });

    for (const { what, max, before, make } of floods) {
      it(`V09 ${port}: a connection that floods with ${what} ends after at most ${max}`, async () => {
        const peer = await dial(plane, port);
        if (before !== undefined) peer.send(before(path));
        const handled = await peer.flood((at) => make(at, path), { max: 2 * max });
        assert.ok(peer.isOver, `it lives after ${handled}`);
        assert.ok(handled <= max, `${handled} were handled`);
        await stillServes();
      });
    }

    for (const [what, continuation] of Object.entries(endless)) {
      it(`V09 ${port}: a connection whose headers go on in ${what} for ever ends after a few`, async () => {
        const peer = await dial(plane, port);
        peer.send(grpcHead(1, path, flags.none));
        let sent = 0;
        for (; sent < 200 && !peer.isOver; sent += 1) {
          peer.send(continuation);
          await delay(5);
        }
        assert.ok(peer.isOver, `it lives after ${sent}`);
        await eventually(async () => (await cutCount(plane, port, "protocol")) > 0, "it is counted");
        await stillServes();
      });
    }
  }

  it("V09 agents: a peer whose streams are refused by the thousand does not fill the log", async () => {
    const lines = () => plane.logLines.filter((line) => line.includes("stream was refused")).length;
    const refused = async () => {
      const { text } = await pageOf(plane, "/metrics", { authorization: `Bearer ${plane.adminKey}` });
      const counts = [...text.matchAll(/^fairlead_agent_streams_refused_total\{.*\} (\d+)/gm)];
      return counts.reduce((sum, [, count]) => sum + Number(count), 0);
    };
    const before = { lines: lines(), refused: await refused() };
    const peer = await dial(plane, "agents");
    const { path } = ports.agents;
    await peer.flood((at) => Buffer.concat([grpcHead(2 * at + 1, path), cancel(2 * at + 1)]), { max: 2_500 });
    await eventually(async () => (await refused()) >= before.refused + 500, "all are counted");
    assert.ok(lines() - before.lines <= 100, `${lines() - before.lines} lines`);
  });

  it("V09 agents: a peer that measures the way with a PING for each piece of an answer is left alone", async () => {
    const peer = await dial(plane, "agents");
    for (let call = 0; call < 400; call += 1) {
      const streamId = 2 * call + 1;
      peer.send(
        Buffer.concat([
          grpcHead(streamId, "/grpc.health.v1.Health/Check"),
          grpcMessage(streamId, Buffer.alloc(0)),
          frame(frameTypes.data, flags.endStream, streamId),
        ]),
      );
      await peer.frame((one) => one.type === frameTypes.data && one.streamId === streamId);
      peer.send(ping);
    }
    await eventually(() => peer.count(frameTypes.ping, true) === 400, "all were answered");
    assert.equal(peer.isOver, false);
    peer.close();
  });

  it("V09 while both ports are flooded in every way, commands and calls are answered, and the agent keeps its session", async () => {
    const sessionId = honest.welcome?.sessionId;
    const cutsBefore = await cutCount(plane, "agents", "ping_flood");
    const enough = new AbortController();
    const attackers = (["agents", "api"] as const).flatMap((port) =>
      [
        () => ping,
        settings,
        ...floods.slice(0, 4).map(
          ({ make }) =>
            (at: number) =>
              make(at, ports[port].path),
        ),
      ].map(async (make) => {
        while (!enough.signal.aborted) {
          const peer = await dial(plane, port);
          await peer.flood(make, { step: 100, max: 5_000 });
          peer.close();
        }
      }),
    );
    for (let turn = 0; turn < 30; turn += 1) await stillServes();
    enough.abort();
    await Promise.all(attackers);
    assert.ok((await cutCount(plane, "agents", "ping_flood")) > cutsBefore, "there was no flood");
    assert.equal(honest.welcome?.sessionId, sessionId);
    assert.equal(plane.controlPlane.sessions.size, 1);
    await eventually(() => plane.controlPlane.sessions.size === 1, "nobody else got in");
  });
});
