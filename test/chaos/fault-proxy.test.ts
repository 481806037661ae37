import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { neverAborted } from "../../src/resilience/signals.ts";
import { FaultProxy } from "../support/chaos/fault-proxy.ts";

/** A server that says everything back, a proxy before it, and a connection through both. */
async function echoed() {
  const server = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const proxy = await FaultProxy.start(() => (server.address() as AddressInfo).port);
  const open = (): Socket => connect(proxy.port, "127.0.0.1").setEncoding("utf8");
  const socket = open();
  await once(socket, "connect");
  return {
    proxy,
    socket,
    open,
    async echo(text: string): Promise<string> {
      socket.write(text);
      const [heard] = (await once(socket, "data")) as [string];
      return heard;
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await proxy.close();
      server.close();
    },
  };
}

describe("the fault-injecting proxy", () => {
  it("carries bytes both ways", async () => {
    await using one = await echoed();
    assert.equal(await one.echo("one"), "one");
    assert.equal(one.proxy.connections, 1);
  });

  it("cuts and resets connections", async () => {
    await using cut = await echoed();
    await cut.echo("one");
    cut.proxy.cut();
    await once(cut.socket, "close");
    await using reset = await echoed();
    await reset.echo("one");
    reset.proxy.reset();
    const [error] = (await once(reset.socket, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
  });

  it("holds bytes back and lets them go on in order", async () => {
    await using one = await echoed();
    await one.echo("one");
    const stalled = one.proxy.stall("up", 80, neverAborted);
    const startedMs = performance.now();
    assert.equal(await one.echo("two"), "two");
    assert.ok(performance.now() - startedMs > 50);
    await stalled;
    assert.equal(await one.echo("three"), "three");
  });

  it("is deaf in one direction, and cuts only at the end what has lost bytes", async () => {
    await using one = await echoed();
    await one.echo("one");
    const swallowed = one.proxy.swallow("down", 80, neverAborted);
    let heard = 0;
    one.socket.on("data", () => (heard += 1)).write("two");
    await delay(40);
    assert.deepEqual([heard, one.socket.destroyed], [0, false]);
    await Promise.all([swallowed, once(one.socket, "close")]);
    assert.equal(heard, 0);
  });

  it("turns new connections away for a while", async () => {
    await using one = await echoed();
    const refusing = one.proxy.refuse(60, neverAborted);
    await assert.rejects(once(one.open(), "data"), { code: "ECONNRESET" });
    assert.equal(await one.echo("one"), "one");
    await refusing;
    const next = one.open();
    await once(next, "connect");
    next.destroy();
  });
});
