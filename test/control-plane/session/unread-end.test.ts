import assert from "node:assert/strict";
import { createConnection, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { FleetError } from "../../../src/domain/errors.ts";
import { farewellMs } from "../../../src/control-plane/session/end-call.ts";
import { eventually } from "../../support/control-plane-harness.ts";
import { RawAgent } from "../../support/raw-agent.ts";
import { agentsHarness } from "./agents-harness.ts";

/** A way to a port that can stop carrying what the server sends. */
async function stoppableWay(port: number) {
  const ends: Socket[] = [];
  const server = createServer((near) => {
    const far = createConnection(port, "127.0.0.1");
    ends.push(near, far);
    near.pipe(far);
    far.pipe(near);
    for (const end of [near, far]) end.on("error", () => undefined);
    far.on("close", () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return {
    port: address.port,
    stopReading: () => {
      const far = ends[1];
      far?.unpipe();
      far?.pause();
    },
    isCut: () => ends[1]?.destroyed === true,
    [Symbol.dispose]: () => {
      for (const end of ends) end.destroy();
      server.close();
    },
  };
}

describe("the end of a session whose agent does not read", () => {
  it("S20 cuts the connection, so that nothing of it is kept", async function () {
    this.timeout(30_000);
    await using plane = await agentsHarness();
    using way = await stoppableWay(plane.port);
    const { token } = await plane.tokens.create({
      description: "",
      lifetimeMs: undefined,
      maxUses: undefined,
      createdBy: "",
      address: "",
    });
    const agent = new RawAgent(way.port);
    const { agentId } = await agent.register(token);
    const session = await eventually(() => plane.registry.current(agentId), "the session");
    way.stopReading();
    agent.pause();
    const filler = new Uint8Array(60_000);
    // A field that no agent knows, as large as a frame.
    const item = Buffer.concat([Buffer.from([0xfa, 0x3f, 0xe0, 0xd4, 0x03]), filler]);
    for (let seen = -1; seen !== session.queued.bytes; ) {
      seen = session.queued.bytes;
      while (session.send(item));
      await delay(100);
    }
    assert.ok(session.queued.bytes > 1024 * 1024);
    const endedAt = performance.now();
    session.end(new FleetError("AGENT_REVOKED", "the host was deleted"));
    assert.equal(way.isCut(), false);
    await eventually(() => plane.listener.connectionCount === 0, "the cut", 3 * farewellMs);
    const waitedMs = performance.now() - endedAt;
    assert.ok(waitedMs > farewellMs - 500, `after ${waitedMs} ms`);
    agent.close();
  });

  it("S20 leaves the connection alone when the end was read", async () => {
    await using plane = await agentsHarness();
    const { token } = await plane.tokens.create({
      description: "",
      lifetimeMs: undefined,
      maxUses: undefined,
      createdBy: "",
      address: "",
    });
    const agent = new RawAgent(plane.port);
    const { agentId } = await agent.register(token);
    const session = await eventually(() => plane.registry.current(agentId), "the session");
    session.end(new FleetError("AGENT_REVOKED", "the host was deleted"));
    assert.equal((await agent.ended).reason, "AGENT_REVOKED");
    await eventually(() => plane.wheel.size === 0, "no timer is left");
    agent.close();
  });
});
