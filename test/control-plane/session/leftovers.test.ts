import assert from "node:assert/strict";
import { FleetError } from "../../../src/domain/errors.ts";
import { eventually } from "../../support/control-plane-harness.ts";
import { RawAgent, rawIdentity } from "../../support/raw-agent.ts";
import { agentsHarness } from "./agents-harness.ts";

type Harness = Awaited<ReturnType<typeof agentsHarness>>;

type Life = (agent: RawAgent) => Promise<unknown>;

/** Streams that become sessions: one that vanishes, one that says goodbye, one that breaks the protocol. */
const sessions: readonly Life[] = [
  async (agent) => {
    await agent.reconnect();
    agent.close();
  },
  async (agent) => {
    await agent.reconnect();
    agent.halfClose();
  },
  async (agent) => {
    await agent.reconnect();
    agent.sendBytes(new Uint8Array([0xff]));
  },
];

/** Streams that do not: one that never says anything, one that says nonsense, one that goes in the middle of its hello. */
const strangers: readonly Life[] = [
  async (agent) => {
    await agent.challenge();
    agent.close();
  },
  async (agent) => {
    await agent.challenge();
    agent.sendBytes(new Uint8Array([0xff]));
  },
  async (agent) => {
    const { nonce } = await agent.challenge();
    const { agentId } = agent.identity;
    agent.sendHello(agent.hello({ case: "reconnection", value: { agentId } as never }), nonce);
    agent.close();
  },
];

// Mostly strangers: a session costs a disk its time, whatever it leaves behind.
const lives = [...sessions, ...strangers, ...strangers, ...strangers, ...strangers];

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

function resources(): Record<string, number> {
  const names = process.getActiveResourcesInfo().filter((name) => name !== "Immediate");
  return Object.fromEntries(
    [...new Set(names)].map((name) => [name, names.filter((each) => each === name).length]),
  );
}

describe("what streams leave behind", () => {
  it("S16 1,000 streams opened and closed leave no timer, session, handshake or socket", async function () {
    this.timeout(30_000);
    await using harness = await agentsHarness();
    const { streams, registry, wheel, port } = harness;
    const identities = await Promise.all(Array.from({ length: 25 }, () => enrol(harness)));
    await eventually(() => registry.size === 0, "no session at the start");
    const before = resources();
    const clients = identities.map(async (identity, index) => {
      for (let life = 0; life < 40; life += 1) {
        const agent = new RawAgent(port, identity);
        await lives[(life + index) % lives.length]?.(agent);
        await agent.ended;
        agent.close();
      }
    });
    await Promise.all(clients);
    await eventually(() => streams.handshakes + registry.size === 0, "no handshake and no session");
    await eventually(() => wheel.size === 0, "no timer of the wheel");
    await eventually(() => {
      const now = resources();
      return Object.keys(now).every((name) => (now[name] ?? 0) <= (before[name] ?? 0));
    }, "as few resources as before").catch(() => assert.deepEqual(resources(), before));
  });

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
