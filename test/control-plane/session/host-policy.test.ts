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

  it("policy: another one is an event, told with a frame or with a hello, and the same one is none", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const [first, second] = [
      { digest, summary: ["a", "b"] },
      { digest: "cd".repeat(32), readOnly: true },
    ];
    const told = async () =>
      (await plane.controlPlane.events.list({ types: [EventType.HOST_POLICY_CHANGED] }, 0, 10)).map(
        ({ attributes }) => attributes,
      );
    agent.send({ hostPolicy: first });
    await eventually(async () => (await told()).length === 1, "the first is told");
    agent.send({ hostPolicy: first });
    agent.send({ hostPolicy: { ...first, problem: "line 1" } });
    await eventually(async () => (await told()).length === 2, "what is wrong with it is told");
    const back = await plane.returned(agent, { hostPolicy: { ...first, problem: "line 1" } });
    const again = await plane.returned(back, { hostPolicy: second });
    await plane.returned(again);
    await eventually(async () => (await told()).length >= 4, "the second, and that there is none");
    assert.deepEqual(await told(), [
      { digest, rules: "2", previous_rules: "0", read_only: "false" },
      {
        digest,
        previous_digest: digest,
        rules: "2",
        previous_rules: "2",
        read_only: "false",
        problem: "line 1",
      },
      {
        digest: second.digest,
        previous_digest: digest,
        rules: "0",
        previous_rules: "2",
        read_only: "true",
      },
      { previous_digest: second.digest, rules: "0", previous_rules: "0", read_only: "false" },
    ]);
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
    const events = { record: () => undefined };
    const news = new PolicyNews({ session, policy: undefined, fleet: { keepPolicy }, events });
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
