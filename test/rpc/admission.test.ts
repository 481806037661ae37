import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { FleetError } from "../../src/domain/errors.ts";
import { Role } from "../../src/gen/fairlead/access/v1/role_pb.js";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.js";
import type { ApiLimits } from "../../src/rpc/api-limits.ts";
import { fleetErrorFrom } from "../../src/rpc/connect-error.ts";
import { type ApiUnderTest, closeApis, eventually, startApi } from "./api-harness.ts";
import { callByGrpcJs, clientOf, rejection, transports } from "./callers.ts";
import { ManualClock } from "../control-plane/events/manual-clock.ts";
import { create } from "@bufbuild/protobuf";
import { GetHostRequestSchema } from "../../src/gen/fairlead/host/v1/host_service_pb.js";

const grpcTo = transports["gRPC over HTTP/2"] ?? assert.fail();
const rpcPath = `/${HostService.typeName}/GetHost`;

/** An API whose callers are who they say, and whose events never come. */
async function start(limits: Partial<ApiLimits> = {}, clock = new ManualClock()): Promise<ApiUnderTest> {
  return startApi(
    {
      hosts: { getHost: () => ({}) },
      events: {
        async *watchEvents(_request, { signal }) {
          yield { cursor: 1n };
          await once(signal, "abort");
        },
      },
    },
    {
      limits,
      clock,
      authenticate(headers) {
        const name = headers.get("authorization");
        if (name === null) throw new FleetError("UNAUTHENTICATED", "who are you?");
        return { name, role: Role.ADMIN, account: name === "uncounted" ? undefined : name };
      },
    },
  );
}

const as = (name: string) => ({ headers: { authorization: name } });
const reasonOf = async (call: Promise<unknown>) => fleetErrorFrom(await rejection(call));

describe("admission", () => {
  afterEach(closeApis);

  for (const [name, transportTo] of Object.entries(transports)) {
    it(`V09 ${name}: a key that calls too often is told so and when to come back, others are served`, async () => {
      const clock = new ManualClock();
      const api = await start({ callsPerSecond: 10, callBurst: 2 }, clock);
      const hosts = clientOf(HostService, transportTo(api.url));
      const get = (who: string) => hosts.getHost({ host: "a" }, as(who));
      await get("a");
      await get("a");
      const { reason, retryAfterMs } = await reasonOf(get("a"));
      assert.deepEqual([reason, retryAfterMs], ["RATE_LIMITED", 100]);
      await get("b");
      for (let count = 0; count < 5; count += 1) await get("uncounted");
      clock.advance(100);
      await get("a");
      assert.equal((await reasonOf(get("a"))).reason, "RATE_LIMITED");
    });

    it(`${name}: who is not known is told so in the words of the protocol`, async () => {
      const api = await start();
      const hosts = clientOf(HostService, transportTo(api.url));
      const error = await reasonOf(hosts.getHost({ host: "x".repeat(2_000) }));
      assert.deepEqual([error.reason, error.message], ["UNAUTHENTICATED", "who are you?"]);
    });
  }

  it("grpc-js is told, too, that it is not known", async () => {
    const api = await start();
    const call = callByGrpcJs(
      api.authority,
      HostService.method.getHost,
      create(GetHostRequestSchema, { host: "a" }),
    );
    assert.equal((await reasonOf(call)).reason, "UNAUTHENTICATED");
  });

  it("health is in nobody's rate, and a page that is no RPC is", async () => {
    const api = await start({ callsPerSecond: 1, callBurst: 1 });
    const health = clientOf(Health, grpcTo(api.url));
    for (let count = 0; count < 20; count += 1) await health.check({}, as("a"));
    assert.equal((await fetch(`${api.url}/healthz`)).status, 200);
    const page = () => fetch(`${api.url}/`, { headers: { authorization: "a" } });
    assert.equal((await page()).status, 200);
    const refused = await page();
    assert.deepEqual([refused.status, refused.headers.get("retry-after")], [429, "1"]);
  });

  it("V09 calls that stay open are limited in all, one key cannot have all of them, and places come back", async () => {
    const api = await start({ maxOpenCalls: 10 });
    const events = clientOf(EventService, grpcTo(api.url));
    const open = async (who: string) => {
      const end = new AbortController();
      const stream = events.watchEvents({}, { ...as(who), signal: end.signal })[Symbol.asyncIterator]();
      await stream.next();
      return () => end.abort();
    };
    const ends = [];
    for (let count = 0; count < 5; count += 1) ends.push(await open("a"));
    const { reason, retryAfterMs } = await reasonOf(open("a"));
    assert.deepEqual([reason, retryAfterMs], ["TOO_MANY_CALLS", 1_000]);
    await clientOf(HostService, grpcTo(api.url)).getHost({ host: "a" }, as("b"));
    for (let count = 0; count < 5; count += 1) ends.push(await open("uncounted"));
    assert.equal((await reasonOf(open("uncounted"))).reason, "TOO_MANY_CALLS");
    assert.equal(api.server.openCallCount, 10);
    for (const end of ends) end();
    await eventually(() => api.server.openCallCount === 0, "all places are free");
    (await open("a"))();
  });

  it("V09 streams of the health service are limited, too, apart from all others", async () => {
    const api = await start({ maxOpenCalls: 2, maxOpenPublicCalls: 4 });
    const health = clientOf(Health, grpcTo(api.url));
    const end = new AbortController();
    const watch = () => health.watch({}, { signal: end.signal })[Symbol.asyncIterator]().next();
    await watch();
    await watch();
    assert.equal((await reasonOf(watch())).reason, "TOO_MANY_CALLS");
    await clientOf(HostService, grpcTo(api.url)).getHost({ host: "a" }, as("a"));
    end.abort();
    await eventually(() => api.server.openCallCount === 0, "all places are free");
  });

  it("V09 HTTP/1.1: a stranger is refused before a byte of the body is there, and is not listened to for long", async () => {
    const api = await start();
    const call = httpRequest(`${api.url}${rpcPath}`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-length": "1000000" },
    });
    call.on("error", () => undefined);
    call.flushHeaders();
    const [answer] = await once(call, "response");
    assert.equal(answer.statusCode, 401);
    answer.resume();
    await eventually(() => api.server.connectionCount === 0, "its connection is over");
  });

  it("V09 HTTP/2: a stranger is refused before a byte of the body is there, and its stream ends", async () => {
    const api = await start();
    for (const [type, status] of [
      ["application/json", 401],
      ["application/connect+json", 401],
      ["application/grpc", 200],
      ["application/grpc-web+json", 200],
      ["text/plain", 401],
    ] as const) {
      const session = connectHttp2(api.url);
      const stream = session.request({ ":method": "POST", ":path": rpcPath, "content-type": type });
      const [headers] = await once(stream, "response");
      assert.equal(headers[":status"], status, type);
      stream.resume();
      await once(stream, "close");
      assert.equal(stream.rstCode, 0, type);
      session.destroy();
    }
  });

  it("V09 a body that was begun and never ends holds no place for a stranger", async () => {
    const api = await start();
    const socket = connect(api.server.address.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(
      `POST ${rpcPath} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{`,
    );
    const [answer] = (await once(socket, "data")) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 401/);
    assert.equal(api.server.openCallCount, 0);
    socket.destroy();
  });
});
