import assert from "node:assert/strict";
import { FleetError } from "../../../src/domain/errors.ts";
import { eventually } from "../../support/control-plane-harness.ts";
import { RawAgent, rawIdentity } from "../../support/raw-agent.ts";
import { agentsHarness } from "./agents-harness.ts";

type Harness = Awaited<ReturnType<typeof agentsHarness>>;

async function enrol({ port, tokens }: Harness): Promise<RawAgent["identity"]> {
  const { token } = await tokens.create({
    description: "",
    lifetimeMs: undefined,
    maxUses: undefined,
    createdBy: "test",
    address: "",
  });
  const agent = new RawAgent(port, rawIdentity());
  await agent.register(token);
  agent.close();
  await agent.ended;
  return agent.identity;
}

describe("what streams leave behind", () => {
  it("S16 a session whose start fails is ended, told so and forgotten like any other", async () => {
    await using harness = await agentsHarness({
      traffic: {
        opened: () => {
          throw new Error("a fault of ours");
        },
      },
    });
    const identity = rawIdentity();
    const { token } = await harness.tokens.create({
      description: "",
      lifetimeMs: undefined,
      maxUses: undefined,
      createdBy: "test",
      address: "",
    });
    const agent = new RawAgent(harness.port, identity);
    await agent.register(token);
    const error = await agent.ended;
    assert.equal(error.reason, "INTERNAL");
    assert.doesNotMatch(error.message, /a fault of ours/);
    await eventually(() => harness.registry.size === 0, "no session");
    assert.equal(harness.wheel.size, 0);
    agent.close();
  });

  it("S16 whatever ends a session, its farewell is said once", async () => {
    const closed: string[] = [];
    await using harness = await agentsHarness({
      traffic: {
        closed: (session, reason) => void closed.push(`${session.identity.epoch} ${reason.reason}`),
      },
    });
    const identity = await enrol(harness);
    const first = new RawAgent(harness.port, identity);
    await first.reconnect();
    const second = new RawAgent(harness.port, identity);
    await second.reconnect();
    harness.registry.current(identity.agentId)?.end(new FleetError("AGENT_REVOKED", "for the test"));
    await Promise.all([first.ended, second.ended]);
    await eventually(() => harness.registry.size === 0, "no session");
    assert.deepEqual(closed, ["1 SESSION_LOST", "2 SESSION_SUPERSEDED", "3 AGENT_REVOKED"]);
    first.close();
    second.close();
  });
});
