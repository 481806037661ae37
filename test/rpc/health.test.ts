import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../src/gen/grpc/health/v1/health_pb.js";
import { fleetErrorFrom } from "../../src/rpc/connect-error.ts";
import { HealthStates } from "../../src/rpc/health.ts";
import { closeApis, eventually, startApi } from "./api-harness.ts";
import { clientOf, rejection, transports } from "./callers.ts";

const grpcTo = transports["gRPC over HTTP/2"] ?? assert.fail();

describe("states of health", () => {
  it("L08 nothing serves any more once it drains, whatever is said later", () => {
    const states = new HealthStates();
    states.set("storage", "SERVING");
    assert.equal(states.get(""), "SERVING");
    states.drain();
    states.set("agents", "SERVING");
    assert.deepEqual(
      ["", "storage", "agents", "unknown"].map((part) => states.get(part)),
      ["NOT_SERVING", "NOT_SERVING", "NOT_SERVING", undefined],
    );
    assert.deepEqual(states.parts(), { agents: "NOT_SERVING", storage: "NOT_SERVING" });
  });

  it("L08 who listens hears of changes alone, until they stop", () => {
    const states = new HealthStates();
    let heard = 0;
    const stop = states.onChange(() => (heard += 1));
    states.set("storage", "SERVING");
    states.set("storage", "SERVING");
    states.drain();
    states.drain();
    assert.equal(heard, 2);
    stop();
    states.set("storage", "NOT_SERVING");
    assert.equal(heard, 2);
  });
});

describe("health", () => {
  afterEach(closeApis);

  it("L08 /healthz says that the process lives, whatever its parts do", async () => {
    const { url, health } = await startApi();
    health.set("storage", "NOT_SERVING");
    const response = await fetch(`${url}/healthz`);
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "ok\n");
  });

  it("L08 /readyz follows the parts, and names them", async () => {
    const { url, health } = await startApi();
    const ready = async () => {
      const response = await fetch(`${url}/readyz`);
      return [response.status, await response.json()];
    };
    health.set("storage", "SERVING");
    health.set("agents", "SERVING");
    const parts = { agents: "SERVING", storage: "SERVING" };
    assert.deepEqual(await ready(), [200, { state: "SERVING", draining: false, parts }]);
    health.set("storage", "NOT_SERVING");
    const failing = { ...parts, storage: "NOT_SERVING" };
    assert.deepEqual(await ready(), [503, { state: "NOT_SERVING", draining: false, parts: failing }]);
  });

  it("L08 the standard health service tells of the whole, of services and of parts", async () => {
    const { url, health } = await startApi();
    const client = clientOf(Health, grpcTo(url));
    health.set("storage", "SERVING");
    const statusOf = async (service: string) => (await client.check({ service })).status;
    for (const name of ["", "storage", "fairlead.host.v1.HostService"]) {
      assert.equal(await statusOf(name), Status.SERVING, name);
    }
    health.set("storage", "NOT_SERVING");
    for (const name of ["", "storage", "fairlead.host.v1.HostService"]) {
      assert.equal(await statusOf(name), Status.NOT_SERVING, name);
    }
    const unknown = await rejection(client.check({ service: "nobody" }));
    assert.equal(ConnectError.from(unknown).code, Code.NotFound);
    const { statuses } = await client.list({});
    assert.equal(statuses["storage"]?.status, Status.NOT_SERVING);
    assert.equal(statuses[""]?.status, Status.NOT_SERVING);
  });

  it("L08 a watcher sees each change once, and then the drain", async () => {
    const { url, health, server } = await startApi();
    health.set("storage", "SERVING");
    const seen: Status[] = [];
    const watch = async () => {
      for await (const { status } of clientOf(Health, grpcTo(url)).watch({})) seen.push(status);
    };
    const ended = rejection(watch());
    await eventually(() => seen.length === 1, "the first state");
    health.set("agents", "SERVING");
    // Long enough for the watcher to be told twice of what has not changed.
    await delay(20);
    health.set("storage", "NOT_SERVING");
    await eventually(() => seen.length === 2, "the failing state");
    health.set("storage", "SERVING");
    await eventually(() => seen.length === 3, "the recovered state");
    await server.drain();
    assert.equal(fleetErrorFrom(await ended).reason, "DRAINING");
    assert.deepEqual(seen.slice(0, 3), [Status.SERVING, Status.NOT_SERVING, Status.SERVING]);
  });

  it("L08 a watcher of what is not known is told so, and hears of it when it comes", async () => {
    const { url, health } = await startApi();
    const abort = new AbortController();
    const seen: Status[] = [];
    const watch = async () => {
      const stream = clientOf(Health, grpcTo(url)).watch({ service: "storage" }, { signal: abort.signal });
      for await (const { status } of stream) seen.push(status);
    };
    const ended = rejection(watch());
    await eventually(() => seen.length === 1, "the first answer");
    health.set("storage", "SERVING");
    await eventually(() => seen.length === 2, "the second answer");
    assert.deepEqual(seen, [Status.SERVICE_UNKNOWN, Status.SERVING]);
    abort.abort();
    await ended;
  });
});
