import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { RunningAgent } from "../../../src/agent/agent.ts";
import { Journal } from "../../../src/agent/execution/journal.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import type { FakeControlPlane, FakeSession } from "../../support/fake-control-plane.ts";
import { inspect, reasonOf, start, untilAborted } from "./held-commands.ts";
import { HeldEngine } from "./held-engine.ts";

describe("the executor of an agent and its journal", () => {
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

  async function begin(): Promise<void> {
    agent = await harness.agent({ server: plane.address, dataDir });
    session = await plane.session();
    await session.until("the inventory", () => session.inventory().get(other));
  }

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

  it("S04 a command whose session was taken over while it was written down never begins, and says so truthfully", async () => {
    plane = await harness.controlPlane({
      welcome: (_hello, number) => (number === 1 ? {} : { sessionEpoch: session.epoch + 2 }),
    });
    await begin();
    const gate = Promise.withResolvers<void>();
    const { accept } = Journal.prototype;
    Journal.prototype.accept = async function (...parameters) {
      await gate.promise;
      await accept.apply(this, parameters);
    };
    try {
      const id = session.command(start(one));
      await session.result(session.command(inspect(other)));
      session.fail(new FleetError("SESSION_SUPERSEDED", "another one took over"));
      const next = await plane.session(2);
      gate.resolve();
      const result = await next.result(id);
      assert.deepEqual([reasonOf(result), result.startedTime], ["SESSION_LOST", undefined]);
      assert.deepEqual(engine.calls, [`inspect ${other}`]);
    } finally {
      Journal.prototype.accept = accept;
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
