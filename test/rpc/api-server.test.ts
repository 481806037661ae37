import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { GetHostRequestSchema, HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { peerAddressKey, callerOf } from "../../src/rpc/caller.ts";
import { FleetError } from "../../src/domain/errors.ts";
import { fleetErrorFrom } from "../../src/rpc/connect-error.ts";
import { closeApis, startApi } from "./api-harness.ts";
import type { Services } from "./api-harness.ts";
import { callByGrpcJs, clientOf, postByHttp2, rejection, run, transports } from "./callers.ts";

const services: Services = {
  hosts: {
    getHost({ host }, { values }) {
      if (host === "lost") throw new FleetError("HOST_NOT_FOUND", "no such host", { metadata: { host } });
      if (host === "bug") throw new TypeError("/srv/secret.ts: cannot read properties of undefined");
      return { host: { id: values.get(peerAddressKey), name: host, agentId: callerOf(values).name } };
    },
  },
  events: {
    async *watchEvents() {
      yield { cursor: 1n };
      yield { cursor: 2n };
      throw new FleetError("CURSOR_EXPIRED", "too old");
    },
  },
};

describe("API server", () => {
  afterEach(closeApis);

  for (const [protocol, transportTo] of Object.entries(transports)) {
    it(`answers ${protocol}, with its caller and its caller's address known`, async () => {
      const { url } = await startApi(services);
      const { host } = await clientOf(HostService, transportTo(url)).getHost({ host: "alpha" });
      assert.equal(host?.name, "alpha");
      assert.equal(host?.agentId, "local");
      assert.equal(host?.id, "127.0.0.1");
    });

    it(`C12 tells reason, text and metadata over ${protocol}`, async () => {
      const { url } = await startApi(services);
      const call = clientOf(HostService, transportTo(url)).getHost({ host: "lost" });
      const error = fleetErrorFrom(await rejection(call));
      assert.equal(error.reason, "HOST_NOT_FOUND");
      assert.equal(error.message, "no such host");
      assert.equal(error.metadata["host"], "lost");
    });

    it(`V08 tells nothing of an exception over ${protocol} but an id`, async () => {
      const { url, logLines } = await startApi(services);
      const call = clientOf(HostService, transportTo(url)).getHost({ host: "bug" });
      const error = await rejection(call);
      assert.doesNotMatch(JSON.stringify(error) + String(error), /secret|TypeError|undefined/);
      const { reason, metadata } = fleetErrorFrom(error);
      assert.equal(reason, "INTERNAL");
      const logged = logLines.find((line) => line["errorId"] === metadata["error_id"]);
      assert.match(JSON.stringify(logged), /secret\.ts/);
      assert.equal(logged?.["rpc"], "fairlead.host.v1.HostService/GetHost");
    });

    it(`V08 ends a stream with its reason over ${protocol}`, async () => {
      const { url } = await startApi(services);
      const cursors: bigint[] = [];
      const read = async () => {
        const stream = clientOf(EventService, transportTo(url)).watchEvents({});
        for await (const { cursor } of stream) cursors.push(cursor);
      };
      const error = fleetErrorFrom(await rejection(read()));
      assert.equal(error.reason, "CURSOR_EXPIRED");
      assert.deepEqual(cursors, [1n, 2n]);
    });
  }

  it("answers grpc-js, also with an error", async () => {
    const { authority } = await startApi(services);
    const ask = (host: string) =>
      callByGrpcJs(authority, HostService.method.getHost, create(GetHostRequestSchema, { host }));
    assert.equal((await ask("alpha")).host?.name, "alpha");
    await assert.rejects(ask("lost"), (error: FleetError) => error.reason === "HOST_NOT_FOUND");
  });

  it("answers curl over HTTP/1.1 and HTTP/2, by POST, and by GET where nothing is changed", async () => {
    const { url } = await startApi(services);
    const path = `${url}/fairlead.host.v1.HostService/GetHost`;
    const json = ["-s", "-H", "content-type: application/json", "-d", '{"host":"alpha"}', path];
    const query = "?connect=v1&encoding=json&message=%7B%22host%22%3A%22alpha%22%7D";
    for (const args of [
      json,
      ["--http2-prior-knowledge", ...json],
      ["--http2", ...json],
      ["-s", path + query],
    ]) {
      const answer = JSON.parse(await run("curl", args)) as { host: { name: string } };
      assert.equal(answer.host.name, "alpha");
    }
  });

  it("shows curl an error readably", async () => {
    const { url } = await startApi(services);
    const response = await fetch(`${url}/fairlead.host.v1.HostService/GetHost`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"host":"lost"}',
    });
    assert.equal(response.status, 404);
    const body = (await response.json()) as { code: string; details: { debug: unknown }[] };
    assert.equal(body.code, "not_found");
    assert.deepEqual(body.details[0]?.debug, {
      reason: "HOST_NOT_FOUND",
      domain: "fairlead.dev",
      metadata: { host: "lost" },
    });
  });

  it("says INVALID_ARGUMENT to a body that does not decode, as JSON and as protobuf", async () => {
    const { url } = await startApi(services);
    for (const [contentType, body] of [
      ["application/json", '{"host": 12'],
      ["application/json", '{"host": 12}'],
      ["application/proto", "\u0008\u0008\u0008"],
    ] as const) {
      const headers = { "content-type": contentType };
      const response = await fetch(`${url}/fairlead.host.v1.HostService/GetHost`, {
        method: "POST",
        headers,
        body,
      });
      assert.equal(response.status, 400);
      assert.equal(((await response.json()) as { code: string }).code, "invalid_argument");
    }
  });

  it("says INVALID_ARGUMENT to protobuf that does not decode, over every protocol, alone and streamed", async () => {
    const { url, logLines } = await startApi(services);
    // A message of two bytes, in an envelope: field 1, whose text is to be of 127 bytes, and is not there.
    const enveloped = Buffer.from([0, 0, 0, 0, 2, 0x0a, 0x7f]);
    for (const [contentType, path, said] of [
      ["application/grpc", "fairlead.host.v1.HostService/GetHost", /grpc-status: 3\b/],
      ["application/grpc", "fairlead.event.v1.EventService/WatchEvents", /grpc-status: 3\b/],
      ["application/grpc-web", "fairlead.host.v1.HostService/GetHost", /grpc-status: 3\b/],
      ["application/grpc-web", "fairlead.event.v1.EventService/WatchEvents", /grpc-status: 3\b/],
      ["application/connect+proto", "fairlead.event.v1.EventService/WatchEvents", /invalid_argument/],
    ] as const) {
      const answer = await postByHttp2(`${url}/${path}`, contentType, enveloped);
      assert.match(answer, said, `${contentType} ${path}: ${answer}`);
    }
    assert.deepEqual(
      logLines.filter((line) => line["errorId"] !== undefined),
      [],
    );
  });

  it("refuses a message over its limit, also one that is small only while compressed", async () => {
    const { url } = await startApi(services, { maxMessageBytes: 1000 });
    const plain = Buffer.from(JSON.stringify({ host: "a".repeat(2000) }));
    for (const [body, encoding] of [
      [plain, "identity"],
      [gzipSync(plain), "gzip"],
    ] as const) {
      const headers = { "content-type": "application/json", "content-encoding": encoding };
      const response = await fetch(`${url}/fairlead.host.v1.HostService/GetHost`, {
        method: "POST",
        headers,
        body,
      });
      assert.equal(((await response.json()) as { code: string }).code, "resource_exhausted");
    }
  });

  it("advises whoever calls with a wrong path, method or content type, or without a host", async () => {
    const { url } = await startApi(services);
    const path = `${url}/fairlead.host.v1.HostService/GetHost`;
    assert.match(await advice(await fetch(`${url}/nowhere`)), /nothing is served at GET \/nowhere/);
    assert.match(await advice(await fetch(path, { method: "POST", body: "host=a" })), /application\/json/);
    assert.match(await advice(await fetch(path.replace("Get", "Delete"))), /POST/);
    assert.match(await run("curl", ["-s", "-0", "-H", "Host:", "-d", "{}", path]), /Host header/);
    assert.match(await run("curl", ["-s", "-H", "Host: a b", "-d", "{}", path]), /Host header/);
  });

  it("says at / what it is, with commands that work as they are printed", async () => {
    const { url } = await startApi({ hosts: { listHosts: () => ({ hosts: [{ name: "alpha" }] }) } });
    const page = await (await fetch(url)).text();
    assert.match(page, /fairlead\.host\.v1\.HostService/);
    const commands = page
      .split("\n")
      .filter((line) => /^ +(curl|buf) /.test(line) && !line.includes("--list"));
    assert.equal(commands.length, 2);
    for (const command of commands) assert.match(await run("sh", ["-c", command]), /alpha/);
  });

  it("passes the caller's deadline on, and tells of it", async () => {
    const { url } = await startApi({
      hosts: {
        async getHost(_request, { signal }) {
          await new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
          });
          return {};
        },
      },
    });
    for (const transportTo of Object.values(transports)) {
      const call = clientOf(HostService, transportTo(url)).getHost({ host: "a" }, { timeoutMs: 50 });
      assert.equal(fleetErrorFrom(await rejection(call)).reason, "DEADLINE_EXCEEDED");
    }
  });

  it("accepts a deadline of days, and does not take it for one that has passed", async () => {
    const { url } = await startApi(services);
    const headers = { "content-type": "application/json", "connect-timeout-ms": "2000000000" };
    const body = '{"host":"alpha"}';
    const response = await fetch(`${url}/fairlead.host.v1.HostService/GetHost`, {
      method: "POST",
      headers,
      body,
    });
    assert.equal(response.status, 200);
  });

  it("writes one line a call, with method, code, duration and caller, and nothing of its messages", async () => {
    const { url, logLines } = await startApi(services);
    const client = clientOf(HostService, transports["gRPC over HTTP/2"]?.(url) ?? assert.fail());
    await client.getHost({ host: "my-secret-host" });
    await client.getHost({ host: "lost" }).catch(() => {});
    const lines = logLines.filter((line) => line["msg"] === "call ended");
    assert.deepEqual(
      lines.map(({ rpc, code, caller, peer }) => ({ rpc, code, caller, peer })),
      ["OK", "NOT_FOUND"].map((code) => ({
        rpc: "fairlead.host.v1.HostService/GetHost",
        code,
        caller: "local",
        peer: "127.0.0.1",
      })),
    );
    assert.ok(lines.every(({ durationMs }) => typeof durationMs === "number"));
    assert.doesNotMatch(JSON.stringify(logLines), /my-secret-host/);
  });
});

async function advice(response: Response): Promise<string> {
  return ((await response.json()) as { message: string }).message;
}
