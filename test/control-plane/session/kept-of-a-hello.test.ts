import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Hello } from "../../../src/gen/fairlead/agent/v1/handshake_pb.js";
import { eventually } from "../../support/control-plane-harness.ts";
import { RawAgent, rawIdentity } from "../../support/raw-agent.ts";
import { agentsHarness } from "./agents-harness.ts";

// Only for this test: the whole run would be slower with it.
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

describe("what a session keeps of its hello", () => {
  it("S16 nothing: neither the token nor the buffers that the message came in", async () => {
    let hello: WeakRef<Hello> | undefined;
    await using harness = await agentsHarness({
      traffic: { opened: (_session, opened) => (hello = new WeakRef(opened)) },
    });
    const { token } = await harness.tokens.create({
      description: "",
      lifetimeMs: undefined,
      maxUses: undefined,
      createdBy: "test",
      address: "",
    });
    const agent = new RawAgent(harness.port, rawIdentity());
    await agent.register(token);
    await eventually(() => {
      collect();
      return hello !== undefined && hello.deref() === undefined;
    }, "nobody has the hello any more");
    assert.equal(harness.registry.size, 1);
    agent.close();
  });
});
