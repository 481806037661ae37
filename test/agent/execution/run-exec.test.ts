import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { RunningAgent } from "../../../src/agent/agent.ts";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import type { CommandResult } from "../../../src/gen/fairlead/agent/v1/command_pb.js";
import type { RunExecSchema } from "../../../src/gen/fairlead/agent/v1/container_operations_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import type { FakeControlPlane, FakeSession } from "../../support/fake-control-plane.ts";

const megabyte = 1024 * 1024;

function execOf(end: CommandResult["end"]) {
  assert.ok(end.case === "outcome" && end.value.detail.case === "exec", JSON.stringify(end.case));
  const { exitCode, stdout, stderr, stdoutTruncated, stderrTruncated, timedOut } = end.value.detail.value;
  const truncated = [stdoutTruncated, stderrTruncated];
  return { exitCode, stdout: Buffer.from(stdout), stderr: Buffer.from(stderr), truncated, timedOut };
}

describe("processes that an agent runs to their end", () => {
  let engine: SimulatedEngine;
  let harness: AgentHarness;
  let plane: FakeControlPlane;
  let session: FakeSession;
  let agent: RunningAgent;
  let dataDir: string;
  let container: string;

  beforeEach(async () => {
    engine = new SimulatedEngine({ clock: systemClock, engineId: "engine-1" });
    harness = new AgentHarness(engine);
    container = await engine.createContainer("web", sleepingSpec(), neverAborted);
    await engine.startContainer(container, neverAborted);
    plane = await harness.controlPlane();
    dataDir = await harness.folder();
    agent = await harness.agent({ server: plane.address, dataDir });
    session = await plane.session();
    await session.until("the inventory", () => session.inventory().get(container));
  });
  afterEach(() => harness.close());

  const ask = (script: string, more: Partial<MessageInitShape<typeof RunExecSchema>> = {}): string =>
    session.command({
      case: "runExec",
      value: { container, exec: { command: ["sh", "-c", script] }, ...more } as MessageInitShape<
        typeof RunExecSchema
      >,
    });
  const endOf = async (commandId: string) => (await session.result(commandId)).end;
  const running = () => engine.processesOf(container).filter((line) => line.startsWith("sh "));

  it("O13 a process gives its exit code and its outputs, apart, of each the first megabyte", async () => {
    const { exitCode, stdout, stderr, truncated } = execOf(
      await endOf(ask(`echo err >&2; head -c ${megabyte + 1} /dev/zero; exit 3`)),
    );
    assert.deepEqual([exitCode, stdout.byteLength, stderr.toString()], [3, megabyte, "err\n"]);
    assert.deepEqual(truncated, [true, false]);
    const exact = execOf(await endOf(ask(`head -c ${megabyte} /dev/zero`)));
    assert.deepEqual([exact.stdout.byteLength, exact.truncated], [megabyte, [false, false]]);
  });

  it("O13 a process gets its input, and the end of it", async () => {
    const stdin = Buffer.alloc(48_000, "0123456789abcdef\0", "latin1");
    assert.deepEqual(execOf(await endOf(ask("cat", { stdin }))).stdout, stdin);
    assert.equal(execOf(await endOf(ask("cat"))).stdout.byteLength, 0);
  });

  it("O13 a process whose time is over is killed, and what it wrote is told", async () => {
    const end = execOf(await endOf(ask("echo begun; sleep 600", { timeLimit: durationFromMs(300) })));
    assert.deepEqual([end.exitCode, end.stdout.toString(), end.timedOut], [137, "begun\n", true]);
    assert.deepEqual([running(), engine.open.processes], [[], 0]);
  });

  it("C32 a process that runs keeps neither its container from a stop nor others from their turn", async () => {
    const sleepers = Array.from({ length: 20 }, () => ask("sleep 600"));
    await session.until("all run", () => running().length === sleepers.length || undefined);
    const stop = session.command({
      case: "stopContainer",
      value: { container, gracePeriod: durationFromMs(0) },
    });
    assert.equal((await endOf(stop)).case, "outcome");
    for (const sleeper of sleepers) assert.equal(execOf(await endOf(sleeper)).exitCode, 137);
    assert.equal(engine.open.processes, 0);
  });

  it("C31 a process that is cancelled is killed, and of unknown outcome, because it had begun", async () => {
    const commandId = ask("sleep 600");
    await session.until("it runs", () => running().length > 0 || undefined);
    session.send({ cancelledCommandIds: [commandId] });
    const end = await endOf(commandId);
    assert.equal(end.case === "failure" && end.value.reason, "OUTCOME_UNKNOWN");
    assert.deepEqual([running(), engine.open.processes], [[], 0]);
  });

  it("C42 an engine that goes away under a process leaves an unknown outcome, and nothing that a retry would repeat", async () => {
    const commandId = ask("sleep 600");
    await session.until("it runs", () => running().length > 0 || undefined);
    engine.setAvailable(false);
    const end = await endOf(commandId);
    assert.equal(end.case === "failure" && end.value.reason, "OUTCOME_UNKNOWN");
    engine.setAvailable(true);
  });

  it("O13 C28 V11 what a process wrote outlives a lost session, and is in no file and no log of the agent", async () => {
    const secret = "correct-horse-battery";
    const commandId = ask(`echo ${secret}`, {
      exec: { command: ["sh", "-c", `echo ${secret}`], environment: { KEY: secret } },
      stdin: Buffer.from(secret),
    });
    await endOf(commandId);
    session.fail(new Error("the way is gone"));
    session = await plane.session(2);
    assert.equal(execOf(await endOf(commandId)).stdout.toString(), `${secret}\n`);
    for (const file of await readdir(dataDir)) {
      const text = await readFile(join(dataDir, file), "latin1");
      assert.ok(!text.includes(secret), `${file} has it`);
    }
    assert.ok(!JSON.stringify(harness.lines).includes(secret), "a log line has it");
  });

  it("C27 a process that was told and not acknowledged is told again by the next agent, without what it wrote", async () => {
    const commandId = ask("echo out; exit 4");
    assert.equal(execOf(await endOf(commandId)).exitCode, 4);
    await agent.close();
    await harness.agent({ server: plane.address, dataDir });
    session = await plane.session(2);
    const again = execOf(await endOf(commandId));
    assert.deepEqual([again.exitCode, again.stdout.byteLength, again.truncated], [4, 0, [true, false]]);
  });
});
