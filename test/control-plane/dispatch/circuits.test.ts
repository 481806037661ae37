import assert from "node:assert/strict";
import { reasonTraits } from "../../../src/domain/errors.ts";
import { CircuitState } from "../../../src/gen/fairlead/host/v1/host_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { defaultCircuitSettings } from "../../../src/resilience/circuit-breaker.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { defaultRetrySettings } from "../../../src/resilience/retry-schedule.ts";
import { type TestControlPlane, testControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb, rejection, stopWeb } from "../../support/dispatching.ts";
import type { RawAgent } from "../../support/raw-agent.ts";

const once = { ...defaultRetrySettings, maxAttempts: 1 };

async function fail(
  fleet: TestControlPlane,
  agent: RawAgent,
  reason: "ENGINE_UNAVAILABLE" | "CONFLICT",
  operation = inspectWeb,
): Promise<void> {
  const call = dispatchTo(fleet, agent, operation);
  agent.fail(await agent.command(), reason, "no");
  await rejection(call, reason);
}

async function succeed(fleet: TestControlPlane, agent: RawAgent, operation = inspectWeb): Promise<void> {
  const call = dispatchTo(fleet, agent, operation);
  agent.succeed(await agent.command());
  await call;
}

describe("circuits", () => {
  it("C19 C22 after five failures on the way to the engine commands fail at once, and nothing is sent", async () => {
    await using fleet = await testControlPlane({ dispatch: { retry: once } });
    const agent = await fleet.enrolled();
    for (let failures = 0; failures < 5; failures += 1) await fail(fleet, agent, "ENGINE_UNAVAILABLE");
    for (const operation of [inspectWeb, stopWeb]) {
      const error = await rejection(dispatchTo(fleet, agent, operation), "CIRCUIT_OPEN");
      assert.ok((error.retryAfterMs ?? 0) > 20_000 && (error.retryAfterMs ?? 0) <= 30_000);
    }
    assert.equal(agent.frames.flatMap((frame) => frame.commands).length, 5);
    const { hosts } = await fleet.client(HostService).listHosts({});
    assert.equal(hosts[0]?.circuitState, CircuitState.OPEN);
  });

  it("C19 changes open the circuit and close it as reads do", async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
    await using fleet = await testControlPlane({ clock, dispatch: { retry: once } });
    const agent = await fleet.enrolled();
    const { dispatcher } = fleet.controlPlane;
    for (let failures = 0; failures < 5; failures += 1) {
      assert.equal(dispatcher.circuitState(agent.identity.agentId), "closed");
      await fail(fleet, agent, "ENGINE_UNAVAILABLE", stopWeb);
    }
    await rejection(dispatchTo(fleet, agent, stopWeb), "CIRCUIT_OPEN");
    aheadMs = 30_000;
    await succeed(fleet, agent, stopWeb);
    assert.equal(dispatcher.circuitState(agent.identity.agentId), "half-open");
    await succeed(fleet, agent, stopWeb);
    assert.equal(dispatcher.circuitState(agent.identity.agentId), "closed");
  });

  for (const [what, operation] of [
    ["read", inspectWeb],
    ["change", stopWeb],
  ] as const) {
    it(`C19 each attempt of a ${what} counts, and none is made any more once the circuit is open`, async () => {
      const circuit = { ...defaultCircuitSettings, failures: 2 };
      const retry = { ...defaultRetrySettings, initialDelayMs: 10 };
      await using fleet = await testControlPlane({ dispatch: { retry, circuit } });
      const agent = await fleet.enrolled();
      const call = dispatchTo(fleet, agent, operation);
      agent.fail(await agent.command(), "ENGINE_UNAVAILABLE", "no");
      agent.fail(await agent.command(), "ENGINE_UNAVAILABLE", "no");
      await assert.rejects(call);
      assert.equal(agent.frames.flatMap((frame) => frame.commands).length, 2);
      assert.equal(fleet.controlPlane.dispatcher.circuitState(agent.identity.agentId), "open");
    });
  }

  it("C20 what the engine says of a request never counts", async () => {
    await using fleet = await testControlPlane({ dispatch: { retry: once } });
    const agent = await fleet.enrolled();
    for (let failures = 0; failures < 8; failures += 1) await fail(fleet, agent, "CONFLICT");
    assert.equal(fleet.controlPlane.dispatcher.circuitState(agent.identity.agentId), "closed");
  });

  for (const [what, operation] of [
    ["read", inspectWeb],
    ["change", stopWeb],
  ] as const) {
    it(`C20 an agent that has too much to do for a ${what} counts for nothing, however often it is asked`, async () => {
      const circuit = { ...defaultCircuitSettings, failures: 1 };
      const retry = { ...defaultRetrySettings, initialDelayMs: 10 };
      await using fleet = await testControlPlane({ dispatch: { retry, circuit } });
      const agent = await fleet.enrolled();
      const call = dispatchTo(fleet, agent, operation);
      for (const _attempt of [1, 2, 3]) agent.fail(await agent.command(), "AGENT_BUSY", "later");
      await rejection(call, "AGENT_BUSY");
      assert.equal(fleet.controlPlane.dispatcher.circuitState(agent.identity.agentId), "closed");
    });
  }

  it("C20 of all reasons only those that tell of the way to the engine count", () => {
    const counting = Object.entries(reasonTraits).flatMap(([reason, { infrastructure }]) =>
      infrastructure ? [reason] : [],
    );
    assert.deepEqual(counting.toSorted(), [
      "AGENT_DISCONNECTED",
      "DEADLINE_EXCEEDED",
      "ENGINE_UNAVAILABLE",
      "OUTCOME_UNKNOWN",
      "SESSION_LOST",
      "STREAM_NOT_OPENED",
    ]);
  });

  it("C21 while half-open, 20 concurrent calls let exactly one through, and two successes close", async () => {
    const circuit = { failures: 2, windowMs: 60_000, openMs: 60, successes: 2 };
    await using fleet = await testControlPlane({ dispatch: { retry: once, circuit } });
    const agent = await fleet.enrolled();
    await fail(fleet, agent, "ENGINE_UNAVAILABLE");
    await fail(fleet, agent, "ENGINE_UNAVAILABLE");
    await new Promise((resolve) => setTimeout(resolve, 80));
    const calls = Array.from({ length: 20 }, () => dispatchTo(fleet, agent, inspectWeb));
    agent.succeed(await agent.command());
    const settled = await Promise.allSettled(calls);
    assert.equal(settled.filter(({ status }) => status === "fulfilled").length, 1);
    await succeed(fleet, agent);
    assert.equal(fleet.controlPlane.dispatcher.circuitState(agent.identity.agentId), "closed");
  });

  it("C23 each agent has its own circuit, and a deleted host's is forgotten", async () => {
    await using fleet = await testControlPlane({ dispatch: { retry: once } });
    const [bad, good] = [await fleet.enrolled(), await fleet.enrolled()];
    const { dispatcher } = fleet.controlPlane;
    for (let failures = 0; failures < 4; failures += 1) await fail(fleet, bad, "ENGINE_UNAVAILABLE");
    await fail(fleet, good, "ENGINE_UNAVAILABLE");
    assert.equal(dispatcher.circuitState(bad.identity.agentId), "closed");
    await fail(fleet, bad, "ENGINE_UNAVAILABLE");
    await succeed(fleet, good);
    assert.equal(dispatcher.circuitState(bad.identity.agentId), "open");
    await fleet.client(HostService).deleteHost({ host: bad.welcome?.hostName ?? "" });
    assert.equal(dispatcher.circuitState(bad.identity.agentId), "closed");
  });

  it("C24 a new session lets the next command probe at once", async () => {
    await using fleet = await testControlPlane({ dispatch: { retry: once } });
    const agent = await fleet.enrolled();
    for (let failures = 0; failures < 5; failures += 1) await fail(fleet, agent, "ENGINE_UNAVAILABLE");
    const back = await fleet.returned(agent);
    await succeed(fleet, back);
    await succeed(fleet, back);
    assert.equal(fleet.controlPlane.dispatcher.circuitState(agent.identity.agentId), "closed");
  });

  it("C25 C22 a repeat of an earlier request is answered while the circuit is open, and says nothing of the way to the engine", async () => {
    await using fleet = await testControlPlane({ dispatch: { retry: once } });
    const agent = await fleet.enrolled();
    const keyed = { requestId: "once", requestDigest: Buffer.from("the same") };
    const first = dispatchTo(fleet, agent, stopWeb, keyed);
    agent.succeed(await agent.command(), true);
    await first;
    for (let failures = 0; failures < 5; failures += 1) await fail(fleet, agent, "ENGINE_UNAVAILABLE");
    assert.equal((await dispatchTo(fleet, agent, stopWeb, keyed)).outcome?.changed, true);
    await rejection(dispatchTo(fleet, agent, stopWeb), "CIRCUIT_OPEN");
    assert.equal(fleet.controlPlane.dispatcher.circuitState(agent.identity.agentId), "open");
  });
});
