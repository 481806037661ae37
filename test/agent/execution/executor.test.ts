import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import Database from "better-sqlite3";
import type { RunningAgent } from "../../../src/agent/agent.ts";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { Journal } from "../../../src/agent/execution/journal.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import type { CommandResult } from "../../../src/gen/fairlead/agent/v1/command_pb.js";
import { ContainerState } from "../../../src/gen/fairlead/container/v1/container_pb.js";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import type { FakeControlPlane, FakeSession } from "../../support/fake-control-plane.ts";
import { HeldEngine } from "./held-engine.ts";

const start = (container: string) => ({ case: "startContainer", value: { container } }) as const;
// A process that ignores SIGTERM, as a first process does: no grace, or it takes ten seconds.
const gracePeriod = durationFromMs(0);
const stop = (container: string) => ({ case: "stopContainer", value: { container, gracePeriod } }) as const;
const restart = (container: string) => ({ case: "restartContainer", value: { container } }) as const;
const inspect = (container: string) => ({ case: "inspectContainer", value: { container } }) as const;

describe("the executor of an agent", () => {
  let engine: HeldEngine;
  let harness: AgentHarness;
  let plane: FakeControlPlane;
  let session: FakeSession;
  let agent: RunningAgent;
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
    agent = await harness.agent({ server: plane.address, dataDir, limits });
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

  it("C18 a command that comes twice runs once: while it runs, after it ended, and after it was acknowledged", async () => {
    await begin();
    const gate = Promise.withResolvers<void>();
    engine.before = () => gate.promise;
    const id = session.command(start(one));
    session.command(start(one), { id });
    await session.until("two acceptances", () => session.all("acceptances")[1]);
    gate.resolve();
    const result = await session.result(id);
    session.command(start(one), { id });
    assert.deepEqual(await session.result(id, 2), result);
    session.command(start(one), { id, attempt: 2 });
    assert.deepEqual(await session.result(id, 3), result);
    session.send({ acknowledgedCommandIds: [id] });
    await session.result(session.command(start(other))); // the next commit, so that the acknowledgement is in as well
    session.command(start(one), { id });
    assert.equal(reasonOf(await session.result(id, 4)), "OUTCOME_UNKNOWN");
    assert.deepEqual(engine.calls.filter((call) => call === `start ${one}`).length, 1);
  });

  it("C18 C42 an attempt after a retryable failure runs; one that repeats it does not", async () => {
    await begin();
    let broken = true;
    engine.before = () =>
      broken ? Promise.reject(new FleetError("ENGINE_UNAVAILABLE", "not there")) : Promise.resolve();
    const id = session.command(start(one));
    assert.equal(reasonOf(await session.result(id)), "ENGINE_UNAVAILABLE");
    broken = false;
    session.command(start(one), { id, attempt: 1 });
    assert.equal(reasonOf(await session.result(id, 2)), "ENGINE_UNAVAILABLE");
    session.command(start(one), { id, attempt: 2 });
    const result = await session.result(id, 3);
    assert.equal(result.end.case, "outcome");
    assert.equal(result.attempt, 2);
    assert.equal(engine.calls.length, 2);
  });

  it("C18 a command that an earlier process had begun does not run again while nobody knows its end, which is told once it is known", async () => {
    await begin();
    engine.before = (method, _container, signal) =>
      method === "start" ? untilAborted(signal) : Promise.resolve();
    const id = session.command(start(one));
    await session.until("the call", () => engine.calls[0]);
    await agent.close();
    const look = engine.getContainer.bind(engine);
    const gate = Promise.withResolvers<void>();
    engine.getContainer = async (...parameters) => {
      await gate.promise;
      return await look(...parameters);
    };
    await harness.agent({ server: plane.address, dataDir });
    const next = await plane.session(2);
    assert.deepEqual(next.hello.runningCommandIds, [id]);
    next.command(start(one), { id, attempt: 2 });
    await next.until("its acceptance", () => next.all("acceptances")[0]);
    await next.result(next.command(inspect(other)));
    assert.deepEqual(engine.calls, [`start ${one}`, `inspect ${other}`]);
    gate.resolve();
    assert.equal(reasonOf(await next.result(id)), "OUTCOME_UNKNOWN");
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

  it("C40 the journal has a command safely before the engine is asked, and its end before it is told", async () => {
    await begin();
    const seen: unknown[] = [];
    engine.before = async () => {
      seen.push(rowOf(id));
    };
    const id: string = session.command(start(one));
    await session.result(id);
    seen.push(rowOf(id));
    assert.deepEqual(seen, [
      { state: "running", attempt: 1 },
      { state: "ended", attempt: 1 },
    ]);
    assert.deepEqual(
      session.all("acceptances").map(({ commandId }) => commandId),
      [id],
    );
  });

  it("C40 nothing is told, and nothing begun, before what it rests on is written", async () => {
    await begin();
    const [acceptGate, finishGate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { accept, finish } = Journal.prototype;
    const finishes = Promise.withResolvers<void>();
    Journal.prototype.accept = async function (...parameters) {
      await acceptGate.promise;
      await accept.apply(this, parameters);
    };
    Journal.prototype.finish = async function (...parameters) {
      finishes.resolve();
      await finishGate.promise;
      await finish.apply(this, parameters);
    };
    try {
      const id = session.command(start(one));
      // What comes after it, is asked and is told shows that it could have been, too.
      await session.result(session.command(inspect(other)));
      assert.deepEqual([engine.calls, session.all("acceptances")], [[`inspect ${other}`], []]);
      acceptGate.resolve();
      await finishes.promise;
      await session.result(session.command(inspect(other)));
      assert.equal(session.all("acceptances").length, 1);
      assert.ok(session.results.every(({ commandId }) => commandId !== id));
      finishGate.resolve();
      await session.result(id);
    } finally {
      Object.assign(Journal.prototype, { accept, finish });
    }
  });

  it("C36 a journal that can be read and not be written fails the command before the engine is asked", async () => {
    await begin();
    await session.result(session.command(start(other)));
    const full = new Database(join(dataDir, "journal.db"));
    full.exec("CREATE TRIGGER full BEFORE INSERT ON command BEGIN SELECT RAISE(ABORT, 'no room'); END");
    full.close();
    engine.calls.length = 0;
    assert.equal(reasonOf(await session.result(session.command(start(one)))), "STORAGE_UNAVAILABLE");
    assert.deepEqual(engine.calls, []);
    assert.equal(session.all("acceptances").length, 1);
  });

  it("C36 a journal that cannot be written fails the command before the engine is asked, and reads go on", async () => {
    await begin();
    await session.result(session.command(start(other)));
    const lock = new Database(join(dataDir, "journal.db"));
    lock.exec("DROP TABLE command");
    lock.close();
    engine.calls.length = 0;
    assert.equal(reasonOf(await session.result(session.command(start(one)))), "STORAGE_UNAVAILABLE");
    assert.deepEqual(engine.calls, []);
    assert.equal((await session.result(session.command(inspect(one)))).end.case, "outcome");
  });

  it("C05 reads are not journaled, and are asked of the engine each time", async () => {
    await begin();
    const id = session.command(inspect(one));
    await session.result(id);
    session.command(inspect(one), { id });
    await session.result(id, 2);
    assert.equal(engine.calls.length, 2);
    assert.throws(() => readFileSync(join(dataDir, "journal.db")), { code: "ENOENT" });
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
      const timeoutMs = how === "that is cancelled" ? 30_000 : 60;
      const id = session.command({ case: "createContainer", value }, { timeoutMs });
      await starts.promise;
      if (how === "that is cancelled") session.send({ cancelledCommandIds: [id] });
      const { end } = await session.result(id);
      assert.equal(end.case === "failure" && end.value.reason, "OUTCOME_UNKNOWN");
      assert.equal(end.case === "failure" && end.value.metadata["container_name"], "made");
    });
  }

  it("C42 a creation that an agent's end interrupts during its start is not tried again", async () => {
    await begin();
    const starts = Promise.withResolvers<void>();
    engine.before = (_method, _container, signal) => {
      starts.resolve();
      return untilAborted(signal);
    };
    const value = { name: "made", spec: sleepingSpec(), start: true };
    const id = session.command({ case: "createContainer", value });
    await starts.promise;
    await agent.close();
    assert.deepEqual(rowOf(id), { state: "running", attempt: 1 });
  });

  function rowOf(commandId: string): unknown {
    const database = new Database(join(dataDir, "journal.db"), { readonly: true });
    try {
      const row = database.prepare("SELECT state, attempt FROM command WHERE id = ?").get(commandId);
      return typeof row === "object" ? { ...row } : row;
    } finally {
      database.close();
    }
  }
});

function reasonOf({ end }: CommandResult): string | undefined {
  return end.case === "failure" ? end.value.reason : undefined;
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}
