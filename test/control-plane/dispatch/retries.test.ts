import assert from "node:assert/strict";
import { reasonTraits, type Reason } from "../../../src/domain/errors.ts";
import { CommandService } from "../../../src/gen/fairlead/command/v1/command_service_pb.js";
import { CommandState } from "../../../src/gen/fairlead/command/v1/command_pb.js";
import { defaultRetrySettings } from "../../../src/resilience/retry-schedule.ts";
import { eventually, testControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb, rejection, stopWeb } from "../../support/dispatching.ts";

const quick = { dispatch: { retry: { ...defaultRetrySettings, initialDelayMs: 40 } } };

describe("retries", () => {
  it("C13 only what certainly did nothing and can pass may be tried again", () => {
    const retryable = Object.entries(reasonTraits).flatMap(([reason, traits]) =>
      traits.retryable ? [reason] : [],
    );
    for (const reason of ["ENGINE_UNAVAILABLE", "AGENT_BUSY", "AGENT_DISCONNECTED", "SESSION_LOST"]) {
      assert.ok(retryable.includes(reason), reason);
    }
    const never: Reason[] = [
      "PERMISSION_DENIED",
      "CONTAINER_NOT_FOUND",
      "CONFLICT",
      "INVALID_ARGUMENT",
      "PROTECTED_CONTAINER",
      "OPERATION_UNSUPPORTED",
      "CIRCUIT_OPEN",
      "OUTCOME_UNKNOWN",
      "DEADLINE_EXCEEDED",
    ];
    for (const reason of never) assert.ok(!retryable.includes(reason), reason);
  });

  for (const [what, operation] of [
    ["read", inspectWeb],
    ["change", stopWeb],
  ] as const) {
    it(`C13 C14 a ${what} that the engine could not take is tried again with the same id, three times in all`, async () => {
      await using fleet = await testControlPlane(quick);
      const agent = await fleet.enrolled();
      const call = dispatchTo(fleet, agent, operation);
      const ids = new Set<string>();
      for (const attempt of [1, 2, 3]) {
        const command = await agent.command();
        ids.add(command.commandId);
        assert.equal(command.attempt, attempt);
        agent.fail(command, "ENGINE_UNAVAILABLE", "no engine there");
      }
      const error = await rejection(call, "ENGINE_UNAVAILABLE");
      assert.deepEqual([...ids], [error.metadata["command_id"]]);
      assert.equal(fleet.controlPlane.dispatcher.inFlight, 0);
    });

    it(`C14 a ${what} that succeeds at the second try is a success`, async () => {
      await using fleet = await testControlPlane(quick);
      const agent = await fleet.enrolled();
      const call = dispatchTo(fleet, agent, operation);
      agent.fail(await agent.command(), "AGENT_BUSY", "later");
      agent.succeed(await agent.command(), true);
      assert.equal((await call).outcome?.changed, true);
    });

    it(`C16 a ${what} that failed for good is tried once`, async () => {
      await using fleet = await testControlPlane(quick);
      const agent = await fleet.enrolled();
      const call = dispatchTo(fleet, agent, operation);
      agent.fail(await agent.command(), "CONFLICT", "no");
      await rejection(call, "CONFLICT");
      assert.equal(agent.frames.flatMap((frame) => frame.commands).length, 1);
    });

    it(`C17 a ${what} is not tried again when the wait would pass its deadline`, async () => {
      await using fleet = await testControlPlane();
      const agent = await fleet.enrolled();
      const call = dispatchTo(fleet, agent, operation, { timeoutMs: 400 });
      agent.fail(await agent.command(), "ENGINE_UNAVAILABLE", "no engine there");
      await rejection(call, "ENGINE_UNAVAILABLE");
    });
  }

  it("C18 a late word about an earlier attempt does not end the command", async () => {
    await using fleet = await testControlPlane(quick);
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const first = await agent.command();
    agent.fail(first, "ENGINE_UNAVAILABLE", "no engine there");
    const second = await agent.command();
    agent.fail(first, "CONFLICT", "an echo");
    agent.fail(second, "STALE_EPOCH", "from an older session");
    agent.succeed(second, true);
    assert.equal((await call).outcome?.changed, true);
  });

  it("C15 waits between attempts as the policy says", async () => {
    await using fleet = await testControlPlane({
      random: () => 0.5,
      dispatch: { retry: { ...defaultRetrySettings, initialDelayMs: 60 } },
    });
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const { commandId } = await agent.command();
    agent.fail({ commandId, attempt: 1 }, "ENGINE_UNAVAILABLE");
    await agent.command();
    agent.fail({ commandId, attempt: 2 }, "ENGINE_UNAVAILABLE");
    agent.succeed(await agent.command());
    await call;
    const { command } = await fleet.client(CommandService).getCommand({ id: commandId });
    const times = (command?.transitions ?? []).map(({ state, transitionTime }) => ({
      state,
      ms: Number(transitionTime?.seconds) * 1_000 + Number(transitionTime?.nanos) / 1e6,
    }));
    const waits = times.flatMap(({ state, ms }, index) =>
      index > 0 && state === CommandState.PENDING ? [(times[index + 1]?.ms ?? 0) - ms] : [],
    );
    // Never shorter than the policy; how much longer depends on the machine.
    assert.equal(waits.length, 2);
    assert.ok((waits[0] ?? 0) >= 59 && (waits[1] ?? 0) >= 119, waits.join());
  });

  it("C15 a read waits between its attempts as the policy says", async () => {
    await using fleet = await testControlPlane({
      random: () => 0.5,
      dispatch: { retry: { ...defaultRetrySettings, initialDelayMs: 60 } },
    });
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, inspectWeb);
    const cameAt: number[] = [];
    for (const _attempt of [1, 2, 3]) {
      const command = await agent.command();
      cameAt.push(performance.now());
      agent.fail(command, "ENGINE_UNAVAILABLE", "no engine there");
    }
    await rejection(call, "ENGINE_UNAVAILABLE");
    const [first = 0, second = 0, third = 0] = cameAt;
    // Never shorter than the policy; how much longer depends on the machine.
    assert.ok(second - first >= 59 && third - second >= 119, cameAt.join());
  });

  it("C26 a retry that was due when the control plane died goes on when the agent tells its result again", async () => {
    await using fleet = await testControlPlane({
      dispatch: { retry: { ...defaultRetrySettings, initialDelayMs: 300 } },
    });
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const first = await agent.command();
    agent.fail(first, "ENGINE_UNAVAILABLE", "no engine there");
    agent.close();
    await fleet.restart();
    await rejection(call, "DRAINING");
    const back = await fleet.returned(agent, { heldResultCommandIds: [first.commandId] });
    back.fail(first, "ENGINE_UNAVAILABLE", "no engine there");
    const second = await back.command();
    assert.deepEqual([second.commandId, second.attempt], [first.commandId, 2]);
    back.succeed(second, true);
    await back.frame((frame) => frame.acknowledgedCommandIds.includes(first.commandId));
  });

  it("C28 an attempt that never arrived is sent again, although the agent still holds the end of the one before", async () => {
    await using fleet = await testControlPlane(quick);
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb);
    const first = await agent.command();
    agent.fail(first, "ENGINE_UNAVAILABLE", "no engine there");
    assert.equal((await agent.command()).attempt, 2);
    agent.close();
    const back = await fleet.returned(agent, { heldResultCommandIds: [first.commandId] });
    back.fail(first, "ENGINE_UNAVAILABLE", "no engine there");
    back.fail(first, "ENGINE_UNAVAILABLE", "an echo");
    const second = await back.command();
    assert.deepEqual([second.commandId, second.attempt], [first.commandId, 2]);
    back.succeed(second, true);
    assert.equal((await call).outcome?.changed, true);
    assert.equal(back.frames.flatMap((frame) => frame.commands).length, 1);
  });

  it("C30 a retry that is due while the agent is away expires when its time is over", async () => {
    await using fleet = await testControlPlane({
      dispatch: { retry: { ...defaultRetrySettings, initialDelayMs: 300 } },
    });
    const agent = await fleet.enrolled();
    const call = dispatchTo(fleet, agent, stopWeb, { timeoutMs: 1_000 });
    const { commandId } = await agent.command();
    const isNow = (state: CommandState, what: string) =>
      eventually(async () => {
        const { command } = await fleet.client(CommandService).getCommand({ id: commandId });
        return command?.state === state;
      }, what);
    agent.fail({ commandId, attempt: 1 }, "ENGINE_UNAVAILABLE", "no engine there");
    await isNow(CommandState.PENDING, "it waits for its next attempt");
    agent.close();
    await call.catch(() => undefined);
    await isNow(CommandState.EXPIRED, "it has expired");
  });
});
