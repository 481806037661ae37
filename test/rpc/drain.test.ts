import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { fleetErrorFrom } from "../../src/rpc/connect-error.ts";
import { createDrainInterceptor, Drain } from "../../src/rpc/drain.ts";
import { closeApis, eventually, startApi } from "./api-harness.ts";
import { clientOf, rejection, transports } from "./callers.ts";

const streamed = Object.entries(transports).filter(([name]) => !name.includes("GET"));

describe("drain", () => {
  afterEach(closeApis);

  let signals: AbortSignal[] = [];
  let ended = 0;
  let finishUnary = Promise.withResolvers<void>();
  beforeEach(() => {
    signals = [];
    ended = 0;
    finishUnary = Promise.withResolvers();
  });
  const services = {
    hosts: {
      async getHost() {
        ended -= 1;
        await finishUnary.promise;
        return { host: { name: "done" } };
      },
    },
    events: {
      async *watchEvents(_request: unknown, { signal }: { signal: AbortSignal }) {
        signals.push(signal);
        try {
          yield { cursor: 1n };
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        } finally {
          ended += 1;
        }
      },
    },
  };

  for (const [protocol, transportTo] of streamed) {
    it(`L08 ends streams with DRAINING, and lets unary calls finish, over ${protocol}`, async () => {
      const { url, server, health } = await startApi(services);
      const unary = clientOf(HostService, transportTo(url)).getHost({ host: "a" });
      const stream = clientOf(EventService, transportTo(url)).watchEvents({})[Symbol.asyncIterator]();
      await stream.next();
      await eventually(() => ended === -1, "the unary call in flight");
      const drained = server.drain();
      const error = fleetErrorFrom(await rejection(stream.next()));
      assert.equal(error.reason, "DRAINING");
      assert.equal(error.retryAfterMs, 1000);
      await eventually(() => ended === 0, "the handler of the stream ends");
      assert.equal(health.get(""), "NOT_SERVING");
      await eventually(() => server.requestCount === 1, "only the unary call is left");
      const late = clientOf(HostService, transportTo(url)).getHost({ host: "late" });
      assert.equal(fleetErrorFrom(await rejection(late)).reason, "DRAINING", "who comes now is told");
      assert.equal((await fetch(`${url}/readyz`)).status, 503);
      finishUnary.resolve();
      assert.equal((await unary).host?.name, "done");
      await drained;
      assert.equal(server.requestCount, 0);
      await server.close();
      await assert.rejects(fetch(`${url}/healthz`), "new connections are refused");
    });
  }

  it("ends the stream of a handler that does not heed its signal", async () => {
    const stuck = Promise.withResolvers<void>();
    const { url, server } = await startApi({
      events: {
        async *watchEvents() {
          yield { cursor: 1n };
          await stuck.promise;
        },
      },
    });
    const transport = transports["gRPC over HTTP/2"]?.(url) ?? assert.fail();
    const stream = clientOf(EventService, transport).watchEvents({})[Symbol.asyncIterator]();
    await stream.next();
    await server.drain();
    assert.equal(fleetErrorFrom(await rejection(stream.next())).reason, "DRAINING");
    stuck.resolve();
  });

  it("closes at once amid a drain, and twice, and tells handlers so", async () => {
    const { url, server } = await startApi(services);
    const transport = transports["gRPC over HTTP/2"]?.(url) ?? assert.fail();
    const unary = rejection(clientOf(HostService, transport).getHost({ host: "a" }));
    await eventually(() => ended === -1, "the unary call in flight");
    const drained = server.drain();
    await Promise.all([server.close(), server.close()]);
    await drained;
    await unary;
    await server.close();
    finishUnary.resolve();
  });

  it("ends a handler whose caller has gone, and keeps nothing of it", async () => {
    const { url, server } = await startApi(services);
    for (const [, transportTo] of streamed) {
      const abort = new AbortController();
      const stream = clientOf(EventService, transportTo(url)).watchEvents({}, { signal: abort.signal });
      const iterator = stream[Symbol.asyncIterator]();
      await iterator.next();
      abort.abort();
      await rejection(iterator.next());
    }
    await eventually(() => ended === streamed.length, "all handlers end");
    await eventually(() => server.requestCount === 0, "no request is left");
    assert.ok(signals.every(({ aborted }) => aborted));
  });

  it("keeps no listener of a stream that has ended in whichever way", async () => {
    const drain = new Drain();
    const ends: (() => AsyncGenerator<number>)[] = [
      async function* () {
        yield 1;
      },
      async function* () {
        yield 1;
        throw new Error("broken");
      },
    ];
    for (const open of ends) {
      const next = async () => ({ stream: true, message: open() });
      const request = { stream: true, signal: new AbortController().signal };
      const response = await createDrainInterceptor(drain)(next as never)(request as never);
      assert.equal(drain.listenerCount, 1);
      assert.ok(response.stream);
      await Array.fromAsync(response.message).catch(() => {});
      assert.equal(drain.listenerCount, 0);
    }
  });

  it("a slow reader holds the handler back instead of filling memory, and may leave", async () => {
    let sent = 0;
    const attributes = { text: randomBytes(45_000).toString("base64") };
    const { url, server } = await startApi({
      events: {
        async *watchEvents() {
          for (; sent < 5000; sent += 1) yield { event: { attributes } };
        },
      },
    });
    for (const protocol of ["gRPC over HTTP/2", "Connect over HTTP/1.1"]) {
      sent = 0;
      const abort = new AbortController();
      const transport = transports[protocol]?.(url) ?? assert.fail();
      const stream = clientOf(EventService, transport).watchEvents({}, { signal: abort.signal });
      const iterator = stream[Symbol.asyncIterator]();
      await iterator.next();
      // What the kernel buffers on loopback differs by machine (some 10 MB at most); 500 messages are 30 MB, all would be 300.
      let held = -1;
      while (held !== sent) {
        held = sent;
        await delay(200);
      }
      assert.ok(held < 500, `${protocol}: ${held} messages were made`);
      abort.abort();
      await rejection(iterator.next());
      await eventually(() => server.requestCount === 0, "the handler is let go");
    }
  });
});
