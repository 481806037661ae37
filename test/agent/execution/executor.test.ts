import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { ContainerState } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import type { FakeControlPlane, FakeSession } from "../../support/fake-control-plane.ts";
import { inspect, reasonOf, restart, start, stop, untilAborted } from "./held-commands.ts";
import { HeldEngine } from "./held-engine.ts";

describe("the executor of an agent", () => {
  let engine: HeldEngine;
  let harness: AgentHarness;
  let plane: FakeControlPlane;
  let session: FakeSession;
  let dataDir: string;
  let one: string;
  let other: string;

  beforeEach(async () => {
    engine = new HeldEngine();
    harness = new AgentHarness(engine);
    one = await engine.createContainer("one", sleepingSpec(), neverAborted);
    other = await engine.createContainer("other", sleepingSpec(), neverAborted);
    dataDir = await harness.folder();
    plane = await harness.controlPlane();
  });
  afterEach(() => harness.close());

  async function begin(limits = {}): Promise<void> {
    await harness.agent({ server: plane.address, dataDir, limits });
    session = await plane.session();
    await session.until("the inventory", () => session.inventory().get(other));
  }

  it("answers with the container as it is afterwards, and says whether anything changed", async () => {
    await begin();
    const first = (await session.result(session.command(start(one)))).end;
    assert.equal(first.case === "outcome" && first.value.changed, true);
    assert.equal(first.value && "detail" in first.value && first.value.detail.case, "container");
    const again = (await session.result(session.command(start(one)))).end;
    assert.equal(again.case === "outcome" && again.value.changed, false);
  });

  it("C32 commands for one container keep their order, whatever they call it; others do not wait", async () => {
    await begin();
    const gate = Promise.withResolvers<void>();
    engine.before = (method, container) =>
      method === "start" && container === one ? gate.promise : Promise.resolve();
    const ids = [
      session.command(start(one)),
      session.command(stop("one")),
      session.command(start(one.slice(0, 16))),
    ];
    await session.result(session.command(start(other)));
    assert.deepEqual(engine.calls, [`start ${one}`, `start ${other}`]);
    gate.resolve();
    for (const id of ids) await session.result(id);
    assert.deepEqual(engine.calls, [`start ${one}`, `start ${other}`, `stop ${one}`, `start ${one}`]);
  });

  it("C32 what names a container before anybody knows its id comes before what names it afterwards", async () => {
    await begin();
    const gate = Promise.withResolvers<void>();
    engine.before = (method) => (method === "start" ? gate.promise : Promise.resolve());
    const value = { name: "later", spec: sleepingSpec(), start: true };
    const made = session.command({ case: "createContainer", value });
    await session.until(
      "the new container",
      () => [...session.inventory().values()].includes("later") || undefined,
    );
    const stopped = session.command(stop("later"));
    await session.result(session.command(inspect(other)));
    assert.equal(engine.calls.length, 2);
    gate.resolve();
    await session.result(made);
    await session.result(stopped);
    assert.deepEqual(
      engine.calls.map((call) => call.split(" ")[0]),
      ["start", "inspect", "stop"],
    );
  });

  it("C32 at most so many run at once, and beyond a full queue the answer is AGENT_BUSY", async () => {
    await begin({ concurrentCommands: 1, queuedCommands: 1 });
    const gate = Promise.withResolvers<void>();
    engine.before = () => gate.promise;
    const ids = [
      session.command(inspect(one)),
      session.command(inspect(other)),
      session.command(inspect("one")),
    ];
    assert.equal(reasonOf(await session.result(ids[2] ?? "")), "AGENT_BUSY");
    assert.deepEqual(engine.calls, [`inspect ${one}`]);
    gate.resolve();
    await session.result(ids[1] ?? "");
  });

  it("C04 a command that waited longer than it may never starts", async () => {
    await begin();
    const gate = Promise.withResolvers<void>();
    engine.before = () => gate.promise;
    const first = session.command(start(one));
    const late = session.command(stop(one), { timeoutMs: 60 });
    const result = await session.result(late);
    assert.equal(reasonOf(result), "DEADLINE_EXCEEDED");
    assert.equal(result.startedTime, undefined);
    gate.resolve();
    await session.result(first);
    assert.deepEqual(engine.calls, [`start ${one}`]);
  });

  it("C42 a change that its time ran out on is looked up, and unknown where a look does not tell", async () => {
    await begin();
    engine.before = (_method, _container, signal) => untilAborted(signal);
    const unsettled = session.command(start(one), { timeoutMs: 500 });
    assert.equal(reasonOf(await session.result(unsettled)), "OUTCOME_UNKNOWN");
    const read = session.command(inspect(one), { timeoutMs: 500 });
    assert.equal(reasonOf(await session.result(read)), "DEADLINE_EXCEEDED");

    engine.before = async (_method, container, signal) => {
      await SimulatedEngine.prototype.startContainer.call(engine, container, signal);
      await untilAborted(signal);
    };
    const settled = await session.result(session.command(start(other), { timeoutMs: 500 }));
    assert.equal(settled.end.case === "outcome" && settled.end.value.changed, true);
    const told = await session.result(session.command(restart(other), { timeoutMs: 500 }));
    assert.equal(reasonOf(told), "OUTCOME_UNKNOWN");
  });

  it("C31 cancelling: what waits never starts, what runs is stopped, and the answer says what happened", async () => {
    await begin();
    engine.before = (method, _container, signal) =>
      method === "inspect" ? untilAborted(signal) : Promise.resolve();
    const running = session.command(inspect(one));
    const waiting = session.command(start(one));
    await session.until("the acceptance", () => session.all("acceptances")[0]);
    session.send({ cancelledCommandIds: [running, waiting] });
    assert.equal(reasonOf(await session.result(running)), "CANCELLED");
    assert.equal(reasonOf(await session.result(waiting)), "CANCELLED");
    assert.deepEqual(engine.calls, [`inspect ${one}`]);
  });

  it("C06 the reads of a session end with it, changes go on and are told in the next", async () => {
    await begin();
    const gate = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<unknown>();
    engine.before = async (method, _container, signal) => {
      if (method === "inspect") aborted.resolve(await untilAborted(signal).catch((error: unknown) => error));
      else await gate.promise;
    };
    const change = session.command(start(one));
    session.command(inspect(other));
    await session.until("the acceptance", () => session.all("acceptances")[0]);
    session.fail(new FleetError("DRAINING", "gone"));
    assert.equal((await aborted.promise) instanceof FleetError, true);
    const next = await plane.session(2);
    assert.deepEqual(next.hello.runningCommandIds, [change]);
    gate.resolve();
    assert.equal((await next.result(change)).end.case, "outcome");
    assert.equal(next.results.length, 1);
  });

  it("O19 S14 an unknown operation, a bad command and a stale epoch fail alone, and the session goes on", async () => {
    await begin();
    const unknown = session.command({ case: undefined });
    assert.equal(reasonOf(await session.result(unknown)), "OPERATION_UNSUPPORTED");
    const bad = session.command(start(""));
    const { end } = await session.result(bad);
    assert.equal(end.case === "failure" && end.value.reason, "INVALID_ARGUMENT");
    assert.match(end.case === "failure" ? end.value.message : "", /start_container\.container/);
    const stale = session.command(start(one), { epoch: 0 });
    assert.equal(reasonOf(await session.result(stale)), "STALE_EPOCH");
    assert.deepEqual(engine.calls, []);
    assert.equal((await session.result(session.command(start(one)))).end.case, "outcome");
  });

  it("L09 every log line of a command carries its id, the agent's and the epoch, and no environment values", async () => {
    await begin();
    const spec = { ...sleepingSpec(), environment: { PASSWORD: "hunter2" } };
    const created = session.command({
      case: "createContainer",
      value: { name: "secret", spec, start: true },
    });
    assert.equal((await session.result(created)).end.case, "outcome");
    await session.result(session.command(start("nobody")));
    await session.result(session.command(inspect("nobody")));
    await session.result(session.command(start(one), { epoch: 0 }));
    const lines = harness.lines.filter(({ msg }) => String(msg).startsWith("command "));
    assert.equal(lines.length, 4);
    for (const line of lines) {
      assert.equal(typeof line["command_id"], "string");
      assert.equal(line["agent_id"], "agent-1");
      assert.equal(typeof line["session_epoch"], "number");
    }
    assert.ok(!JSON.stringify(harness.lines).includes("hunter2"));
    assert.ok(!readFileSync(join(dataDir, "journal.db")).includes("hunter2"));
    assert.ok(!readFileSync(join(dataDir, "journal.db-wal")).includes("hunter2"));
  });

  it("C39 a precondition that does not hold fails with what was seen, and nothing is done; one that holds is no hindrance", async () => {
    await begin();
    const seen = await engine.getContainer(one, neverAborted);
    const wrong = [
      { expectedImageDigest: "sha256:other" },
      { expectedState: ContainerState.RUNNING },
      { expectedStartedTime: { seconds: 1n, nanos: 2 } },
    ];
    for (const preconditions of wrong) {
      const { end } = await session.result(session.command(start(one), { preconditions }));
      assert.equal(end.case === "failure" && end.value.reason, "PRECONDITION_FAILED");
      assert.ok(
        end.case === "failure" && Object.keys(end.value.metadata).some((key) => key.startsWith("seen_")),
      );
    }
    assert.deepEqual(engine.calls, []);
    const right = { expectedImageDigest: seen.imageId ?? "", expectedState: ContainerState.CREATED };
    assert.equal(
      (await session.result(session.command(start(one), { preconditions: right }))).end.case,
      "outcome",
    );
    const some = { expectedImageDigest: seen.imageId ?? "" };
    assert.equal(
      (await session.result(session.command(start(one), { preconditions: some }))).end.case,
      "outcome",
    );
  });

  it("C39 preconditions are compared with the engine, not with what the agent remembers", async () => {
    await begin();
    let looks = 0;
    const look = engine.getContainer.bind(engine);
    engine.getContainer = async (container, signal) => {
      looks += 1;
      return { ...(await look(container, signal)), state: ContainerState.PAUSED };
    };
    const preconditions = { expectedState: ContainerState.CREATED };
    const { end } = await session.result(session.command(start(one), { preconditions }));
    assert.equal(end.case === "failure" && end.value.metadata["seen_state"], "paused");
    assert.equal(looks, 1);
  });

  it("a failed start of a created container names what stays, and is never called retryable", async () => {
    await begin();
    engine.before = () => Promise.reject(new FleetError("ENGINE_UNAVAILABLE", "gone"));
    const value = { name: "made", spec: sleepingSpec(), start: true };
    const { end } = await session.result(session.command({ case: "createContainer", value }));
    assert.equal(end.case === "failure" && end.value.reason, "ENGINE_FAILED");
    assert.equal(end.case === "failure" && end.value.metadata["container_name"], "made");
  });

  for (const how of ["whose time is over", "that is cancelled"]) {
    it(`C31 C42 a creation ${how} during its start is of unknown outcome, and names what stays`, async () => {
      await begin();
      const starts = Promise.withResolvers<void>();
      engine.before = (_method, _container, signal) => {
        starts.resolve();
        return untilAborted(signal);
      };
      const value = { name: "made", spec: sleepingSpec(), start: true };
      // Long enough to reach the engine before it is over, also where the disk is busy.
      const timeoutMs = how === "that is cancelled" ? 30_000 : 2_000;
      const id = session.command({ case: "createContainer", value }, { timeoutMs });
      await starts.promise;
      if (how === "that is cancelled") session.send({ cancelledCommandIds: [id] });
      const { end } = await session.result(id);
      assert.equal(end.case === "failure" && end.value.reason, "OUTCOME_UNKNOWN");
      assert.equal(end.case === "failure" && end.value.metadata["container_name"], "made");
    });
  }
});
