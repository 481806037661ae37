import assert from "node:assert/strict";
import { PolicyNews } from "../../../src/control-plane/session/policy-news.ts";
import type { AgentSession } from "../../../src/control-plane/session/agent-session.ts";
import type { HostPolicy } from "../../../src/gen/fairlead/agent/v1/host_policy_pb.js";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import type { HostPolicyRecord } from "../../../src/storage/records.ts";
import { eventually, testControlPlane, type TestControlPlane } from "../../support/control-plane-harness.ts";
import { recordedEvent } from "../../support/recorded-events.ts";
import { silentLogger } from "../../support/silent-logger.ts";

const digest = "ab".repeat(32);

async function policyInApi(plane: TestControlPlane) {
  const { hosts } = await plane.client(HostService).listHosts({});
  return hosts[0]?.policy;
}

describe("what an agent tells of its host's policy", () => {
  it("policy: one that breaks a bound costs itself only, and the last good one stays to be seen", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    assert.equal(await policyInApi(plane), undefined);
    agent.send({ hostPolicy: { digest, readOnly: true, summary: ["read_only: true"] } });
    await eventually(async () => (await policyInApi(plane))?.readOnly, "the policy");
    const broken = [
      { digest: "none" },
      { digest, summary: Array.from({ length: 65 }, () => "x") },
      { digest, summary: ["x".repeat(257)] },
      { digest, problem: "x".repeat(513) },
    ];
    for (const hostPolicy of broken) agent.send({ hostPolicy });
    const refused = await recordedEvent(plane, EventType.ITEM_REFUSED);
    assert.equal(refused.attributes["item"], "HostPolicy");
    agent.send({ hostPolicy: { digest, readOnly: true, summary: ["the next"] } });
    await eventually(async () => (await policyInApi(plane))?.summary[0] === "the next", "the next one");
    assert.equal((await policyInApi(plane))?.digest, digest);
  });

  it("policy: a hello without one says that the host has none any more", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    agent.send({ hostPolicy: { digest } });
    await eventually(async () => (await policyInApi(plane)) !== undefined, "the policy");
    await plane.returned(agent, { hostPolicy: { digest, readOnly: true } });
    assert.equal((await policyInApi(plane))?.readOnly, true);
    await plane.returned(agent);
    assert.equal(await policyInApi(plane), undefined);
  });

  it("policy: an agent that tells of nothing else has one write under way and one waiting", async () => {
    const written: HostPolicyRecord[] = [];
    const { promise: blocked, resolve: release } = Promise.withResolvers<void>();
    const keepPolicy = async (_agentId: string, _epoch: number, policy: HostPolicyRecord) => {
      written.push(policy);
      await blocked;
      return true;
    };
    const session = { identity: { agentId: "a", epoch: 1 }, logger: silentLogger } as unknown as AgentSession;
    const news = new PolicyNews(session, { keepPolicy });
    for (let index = 0; index < 1000; index += 1) news.take({ digest, summary: [`${index}`] } as HostPolicy);
    release();
    await eventually(() => written.length === 2, "the last one");
    await new Promise(setImmediate);
    assert.deepEqual(
      written.map(({ summary }) => summary[0]),
      ["0", "999"],
    );
  });
});
