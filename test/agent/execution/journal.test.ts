import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { useFakeTimers } from "sinon";
import { Journal } from "../../../src/agent/execution/journal.ts";
import { JournalDatabase } from "../../../src/agent/execution/journal-database.ts";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import { commitsIn } from "../../storage/write-ahead-log.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const command = (commandId: string, attempt = 1) => ({
  commandId,
  attempt,
  epoch: 1,
  operation: bytes("op"),
});

describe("the journal of an agent", () => {
  let harness: AgentHarness;
  let dataDir: string;
  beforeEach(async () => {
    harness = new AgentHarness();
    dataDir = await harness.folder();
  });
  afterEach(() => harness.close());

  const open = (clock = new FakeClock()) => Journal.open({ dataDir, clock, logger: harness.logger });

  it("C27 remembers what runs and what ended, over restarts", async () => {
    const first = await open();
    await first.accept(command("a"));
    await first.accept(command("b"));
    await first.finish("b", bytes("result"), false);
    first.close();
    const second = await open();
    assert.deepEqual(
      second.running().map(({ commandId }) => commandId),
      ["a"],
    );
    assert.deepEqual(
      second.held().map(({ commandId, result }) => [commandId, Buffer.from(result ?? "").toString()]),
      [["b", "result"]],
    );
    assert.deepEqual(second.id, first.id);
    second.close();
  });

  it("C35 what comes in turns close to each other is one transaction, and nothing waits for more than a few turns", async () => {
    const journal = await open();
    await journal.accept(command("first"));
    const before = commitsIn(join(dataDir, "journal.db"));
    const close: Promise<void>[] = [];
    for (const id of ["a", "b", "c", "d"]) {
      close.push(journal.accept(command(id)));
      await turn();
    }
    await Promise.all(close);
    assert.equal(commitsIn(join(dataDir, "journal.db")) - before, 1);
    let written = false;
    void journal.accept(command("e")).then(() => (written = true));
    for (let later = 0; later < 40; later += 1) {
      void journal.finish("a", bytes(`${later}`), false);
      await turn();
    }
    assert.ok(written);
    journal.close();
  });

  it("C40 is made for its owner alone, in WAL mode with full synchronisation", async () => {
    const journal = await open();
    await journal.accept(command("a"));
    assert.equal((await stat(join(dataDir, "journal.db"))).mode & 0o777, 0o600);
    const database = new Database(join(dataDir, "journal.db"));
    assert.equal(database.pragma("journal_mode", { simple: true }), "wal");
    database.close();
    journal.close();
  });

  it("C40 sets full synchronisation on its own connection before it writes", async () => {
    const pragmas: string[] = [];
    const pragma = Database.prototype.pragma;
    Database.prototype.pragma = function (...parameters: Parameters<typeof pragma>) {
      pragmas.push(parameters[0]);
      return pragma.apply(this, parameters);
    };
    try {
      new JournalDatabase(join(dataDir, "journal.db"), new Uint8Array(16)).close();
    } finally {
      Database.prototype.pragma = pragma;
    }
    assert.deepEqual(pragmas, ["journal_mode = WAL", "synchronous = FULL"]);
  });

  it("C35 writes a burst in one transaction", async () => {
    let transactions = 0;
    const transaction = JournalDatabase.prototype.transaction;
    const journal = await open();
    await journal.accept(command("first"));
    JournalDatabase.prototype.transaction = function (work) {
      transactions += 1;
      transaction.call(this, work);
    };
    try {
      await Promise.all(Array.from({ length: 500 }, (_, index) => journal.accept(command(`c${index}`))));
    } finally {
      JournalDatabase.prototype.transaction = transaction;
    }
    assert.equal(transactions, 1);
    assert.equal(journal.running().length, 501);
    journal.close();
  });

  it("C40 settles a write only after its transaction is committed", async () => {
    const journal = await open();
    const order: string[] = [];
    const accepted = journal.accept(command("a")).then(() => order.push("settled"));
    await Promise.resolve();
    order.push(journal.find("a") === undefined ? "not there" : "there");
    await accepted;
    order.push(journal.find("a") === undefined ? "not there" : "there");
    assert.deepEqual(order, ["not there", "settled", "there"]);
    journal.close();
  });

  it("C40 a write whose transaction fails is not settled as one that was committed", async () => {
    const journal = await open();
    await journal.accept(command("a"));
    const { transaction } = JournalDatabase.prototype;
    JournalDatabase.prototype.transaction = () => {
      throw new Error("no room");
    };
    try {
      await assert.rejects(journal.accept(command("b")), {
        reason: "STORAGE_UNAVAILABLE",
        message: /no room/,
      });
    } finally {
      JournalDatabase.prototype.transaction = transaction;
    }
    await journal.accept(command("c"));
    journal.close();
  });

  it("C18 an acknowledgement empties a result but not that of a later attempt", async () => {
    const journal = await open();
    await journal.accept(command("a"));
    await journal.finish("a", bytes("busy"), true);
    await journal.accept(command("a", 2));
    await journal.acknowledge(["a"]);
    assert.equal(journal.find("a")?.state, "running");
    await journal.finish("a", bytes("done"), false);
    assert.equal(journal.find("a")?.attempt, 2);
    await journal.acknowledge(["a"]);
    assert.equal(journal.find("a")?.state, "acknowledged");
    assert.equal(journal.find("a")?.result, undefined);
    journal.close();
  });

  it("C35 an acknowledgement is committed with the next command, or by itself after a while", async () => {
    const journal = await open();
    for (const id of ["a", "b"]) {
      await journal.accept(command(id));
      await journal.finish(id, bytes("done"), false);
    }
    const timers = useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const first = journal.acknowledge(["a"]);
      await turn();
      assert.equal(journal.find("a")?.state, "ended");
      await journal.accept(command("c"));
      assert.equal(journal.find("a")?.state, "acknowledged");
      await first;
      const second = journal.acknowledge(["b"]);
      timers.tick(200);
      assert.equal(journal.find("b")?.state, "acknowledged");
      await second;
      await journal.finish("c", bytes("done"), false);
      const third = journal.acknowledge(["c"]);
      assert.deepEqual(journal.held(), []);
      await third;
      assert.equal(timers.countTimers(), 0);
    } finally {
      timers.restore();
      journal.close();
    }
  });

  it("C33 forgets acknowledged commands after a day, and never what is held", async () => {
    const clock = new FakeClock();
    const journal = await open(clock);
    for (const id of ["old", "held"]) {
      await journal.accept(command(id));
      await journal.finish(id, bytes("r"), false);
    }
    await journal.acknowledge(["old"]);
    await clock.pass(25 * 3_600_000);
    await journal.acknowledge(Array.from({ length: 1000 }, () => "nobody"));
    assert.equal(journal.find("old"), undefined);
    assert.equal(journal.find("held")?.state, "ended");
    journal.close();
  });

  it("C33 forgets the oldest of too many acknowledged commands", () => {
    const database = new JournalDatabase(join(dataDir, "journal.db"), new Uint8Array(16));
    for (const [time, id] of ["old", "held", "middle", "new"].entries()) {
      database.accept({ ...command(id), time });
      database.finish(id, bytes("r"), false, time);
      if (id !== "held") database.acknowledge(id, time);
    }
    database.prune(0, 2);
    assert.deepEqual(
      ["old", "held", "middle", "new"].filter((id) => database.find(id) === undefined),
      ["old"],
    );
    database.close();
  });

  it("C41 has another id after it was lost, and the same one as long as it was never made", async () => {
    const empty = await open();
    empty.close();
    const again = await open();
    assert.deepEqual(again.id, empty.id);
    await again.accept(command("a"));
    again.close();
    while (existsSync(join(dataDir, "journal-id"))) await turn();
    await rm(join(dataDir, "journal.db"));
    const lost = await open();
    assert.notDeepEqual(lost.id, again.id);
    lost.close();
  });

  it("C41 has another id after it was lost, also when its spare id was left behind by a crash", async () => {
    const first = await open();
    const spare = await readFile(join(dataDir, "journal-id"));
    await first.accept(command("a"));
    first.close();
    while (existsSync(join(dataDir, "journal-id"))) await turn();
    await writeFile(join(dataDir, "journal-id"), spare);
    (await open()).close();
    await rm(join(dataDir, "journal.db"));
    const lost = await open();
    assert.notDeepEqual(lost.id, first.id);
    lost.close();
  });

  it("a damaged file is a clear error, not a fresh journal", async () => {
    await writeFile(
      join(dataDir, "journal.db"),
      "this is no database, and long enough to be looked at as one".repeat(100),
    );
    await assert.rejects(open(), { reason: "STORAGE_UNAVAILABLE", message: /journal cannot be opened/ });
  });
});

describe("an agent that was killed", () => {
  it("C27 C37 settles what it was in the middle of by looking, says unknown where that does not tell, runs nothing again", async function () {
    this.timeout(30_000);
    const calls: string[] = [];
    const observe = ({ method, container }: { readonly method: string; readonly container: string }) =>
      void calls.push(`${method} ${container}`);
    const engine = new SimulatedEngine({ clock: systemClock, engineId: "engine-1", observe });
    const harness = new AgentHarness(engine);
    let child: ChildProcess | undefined;
    try {
      const plane = await harness.controlPlane();
      const dataDir = await harness.folder();
      const script = fileURLToPath(new URL("../../support/agent-process.ts", import.meta.url));
      child = spawn(process.execPath, [script, plane.address, dataDir], { stdio: "inherit" });
      const before = await plane.session();
      const start = (container: string) => before.command({ case: "startContainer", value: { container } });
      const settled = start("one");
      const unsettled = start("two");
      const unknown = before.command({ case: "restartContainer", value: { container: "three" } });
      await before.until("three acceptances", () => before.all("acceptances")[2]);
      child.kill("SIGKILL");
      await once(child, "exit");

      await engine.startContainer(
        await engine.createContainer("one", sleepingSpec(), neverAborted),
        neverAborted,
      );
      await engine.createContainer("two", sleepingSpec(), neverAborted);
      await engine.createContainer("three", sleepingSpec(), neverAborted);
      calls.length = 0;
      const agent = await harness.agent({ server: plane.address, dataDir });
      const after = await plane.session(2);
      const told = [...after.hello.runningCommandIds, ...after.hello.heldResultCommandIds];
      assert.deepEqual(told.toSorted(), [settled, unsettled, unknown].toSorted());
      assert.equal((await after.result(settled)).end.case, "outcome");
      for (const id of [unsettled, unknown]) {
        const { end } = await after.result(id);
        assert.equal(end.case === "failure" && end.value.reason, "OUTCOME_UNKNOWN");
      }
      for (const id of [settled, unsettled, unknown]) {
        after.command({ case: "startContainer", value: { container: "two" } }, { id, attempt: 2 });
      }
      await after.result(unknown, 2);
      await agent.close();
      assert.deepEqual(calls, []);
    } finally {
      child?.kill("SIGKILL");
      await harness.close();
    }
  });
});
