import assert from "node:assert/strict";
import { AgentKey } from "../../../src/agent/identity/agent-key.ts";
import { DataStreams } from "../../../src/agent/streams/data-streams.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { TimerWheel } from "../../../src/resilience/timer-wheel.ts";
import { silentLogger } from "../../support/silent-logger.ts";

describe("the data streams of an agent", () => {
  it("D05 beyond its own limit the agent opens none, and does not even dial", async () => {
    const streams = new DataStreams({
      server: "127.0.0.1:1",
      identity: { agentId: "agent-1", key: AgentKey.generate() },
      secure: () => assert.fail("it dials"),
      wheel: new TimerWheel(),
      maxStreams: 0,
      logger: silentLogger,
    });
    await assert.rejects(
      streams.run(new Uint8Array(32), () => assert.fail("it works"), neverAborted),
      { reason: "TOO_MANY_STREAMS", message: /0 streams, which is its limit/ },
    );
    assert.equal(streams.size, 0);
  });
});
