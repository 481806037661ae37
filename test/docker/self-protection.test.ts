import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { protectedLabel } from "../../src/agent/execution/self-protection.ts";
import type { CommandResult } from "../../src/gen/fairlead/agent/v1/command_pb.js";
import { FleetError } from "../../src/domain/errors.ts";
import {
  docker,
  removeContainers,
  requireDocker,
  runContainer,
  testImage,
  testLabel,
  uniqueName,
} from "../support/docker.ts";
import { type EngineGate, openEngineGate } from "../support/engine-gate.ts";
import { eventually, FakeControlPlane, type FakeSession } from "../support/fake-control-plane.ts";

const subject = `self-protection-${process.pid}`;
const project = fileURLToPath(new URL("../..", import.meta.url));
const patienceMs = 20_000;

const harms = (container: string) =>
  [
    { case: "stopContainer", value: { container } },
    { case: "restartContainer", value: { container } },
    { case: "killContainer", value: { container, signal: "HUP" } },
    { case: "pauseContainer", value: { container } },
    { case: "renameContainer", value: { container, newName: "harmed" } },
    { case: "removeContainer", value: { container, force: true } },
  ] as const;

/** What any harm would have changed. */
async function lifeOf(id: string) {
  const { Name, RestartCount, State } = await docker.getContainer(id).inspect();
  const { Pid, StartedAt, Status } = State;
  return { Name, RestartCount, Pid, StartedAt, Status };
}

describe("docker: an agent that runs in a container of its own engine", function () {
  this.timeout(3 * patienceMs);
  this.slow(20_000);
  let folder = "";
  let gate: EngineGate | undefined;
  let plane: FakeControlPlane;
  let own: string;
  let labelled: string;
  let labelledName: string;

  before(async function () {
    await requireDocker(this);
    folder = await mkdtemp(join(tmpdir(), "fairlead-own-"));
    gate = await openEngineGate(join(folder, "docker.sock"), "/var/run/docker.sock");
    plane = await FakeControlPlane.start();
    // More labels than a container can be told with.
    const others = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`a.label.${index}`, ""]));
    const create = { Labels: { ...others, [testLabel]: subject, [protectedLabel]: "true" } };
    labelledName = uniqueName(subject);
    labelled = await runContainer({ subject, name: labelledName, create });
    own = await runAgent(plane.address, folder);
  });
  after(async () => {
    // Without Docker nothing was begun, and there is nobody to ask what is left.
    if (gate === undefined) return;
    await removeContainers(subject);
    plane.kill();
    await gate[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  /** The newest session, once it knows both containers. */
  async function session(number: number): Promise<FakeSession> {
    await eventually("a stream", () => plane.sessions[number - 1], patienceMs);
    const opened = await plane.session(number);
    await eventually("both", () => (knowsBoth(opened) ? true : undefined), patienceMs);
    return opened;
  }

  function knowsBoth(opened: FakeSession): boolean {
    const known = opened.inventory();
    return known.has(own) && known.has(labelled);
  }

  async function refusals(of: FakeSession, ids: readonly string[], count = 1): Promise<void> {
    for (const id of ids) {
      const result = await eventually(
        `result ${count} of ${id}`,
        () => of.results.filter(({ commandId }) => commandId === id)[count - 1],
        patienceMs,
      );
      assert.equal(reasonOf(result), "PROTECTED_CONTAINER");
    }
  }

  it("O10 refuses to harm the container that it finds itself in, and a labelled one, whatever they are called", async () => {
    const first = await session(1);
    const lives = await Promise.all([own, labelled].map(lifeOf));
    const ownName = (lives[0]?.Name ?? "").slice(1);
    for (const container of [own, own.slice(0, 12), ownName, labelled, labelled.slice(0, 12), labelledName]) {
      const ids = harms(container).map((operation) => first.command(operation));
      await refusals(first, ids);
    }
    assert.deepEqual(await Promise.all([own, labelled].map(lifeOf)), lives);
  });

  it("O10 a refused command that is delivered again, after a reconnect and after the agent was killed, is refused again", async () => {
    const lives = await Promise.all([own, labelled].map(lifeOf));
    const first = plane.sessions.length;
    const before = await session(first);
    const sent = [own, labelled].flatMap((container) =>
      harms(container).map((operation) => ({ operation, id: before.command(operation) })),
    );
    const ids = sent.map(({ id }) => id);
    await refusals(before, ids);
    before.fail(new FleetError("DRAINING", "for the test"));

    const after = await session(first + 1);
    for (const { operation, id } of sent) after.command(operation, { id, attempt: 2 });
    await refusals(after, ids, 2);
    assert.deepEqual(await Promise.all([own, labelled].map(lifeOf)), lives);

    await docker.getContainer(own).kill();
    await docker.getContainer(own).wait();
    await docker.getContainer(own).start();
    const reborn = await session(first + 2);
    const { Name } = await lifeOf(own);
    for (const { operation, id } of sent) reborn.command(operation, { id, attempt: 3 });
    await refusals(reborn, ids, 2);
    assert.deepEqual([await lifeOf(labelled), (await lifeOf(own)).Name], [lives[1], Name]);
  });

  it("O10 a command that was accepted, and not begun when the agent was killed, ends as refused, whatever a look at the engine would settle", async () => {
    const first = plane.sessions.length;
    const before = await session(first);
    gate?.hold(/^POST \S*\/start\b/);
    // What does no harm is under way, and the harm waits for its turn behind it.
    for (const container of [own, labelled]) before.command({ case: "startContainer", value: { container } });
    await eventually("two starts", () => (gate?.held.length === 2 ? true : undefined), patienceMs);
    const sent = [own, labelled].flatMap((container) =>
      harms(container).map((operation) => ({ operation, id: before.command(operation) })),
    );
    const ids = sent.map(({ id }) => id);
    const accepted = () => new Set(before.all("acceptances").map(({ commandId }) => commandId));
    await eventually("all", () => (ids.every((id) => accepted().has(id)) ? true : undefined), patienceMs);
    assert.equal(before.results.filter(({ commandId }) => ids.includes(commandId)).length, 0);
    await docker.getContainer(own).kill();
    await docker.getContainer(own).wait();
    gate?.open();
    // Now it looks as if the stop had been done.
    await docker.getContainer(labelled).kill();
    await docker.getContainer(labelled).wait();
    const life = await lifeOf(labelled);
    await docker.getContainer(own).start();

    const after = await session(first + 1);
    const running = await lifeOf(own);
    for (const { operation, id } of sent) after.command(operation, { id, attempt: 2 });
    await refusals(after, ids);
    assert.deepEqual(
      after.results
        .filter(({ commandId }) => ids.includes(commandId))
        .filter((each) => reasonOf(each) === undefined),
      [],
    );
    assert.deepEqual(await Promise.all([own, labelled].map(lifeOf)), [running, life]);
  });
});

/** Runs the sources' agent in a container, with nothing of the machine but what Node and the sources are made of. */
async function runAgent(server: string, folder: string): Promise<string> {
  const node = realpathSync(process.execPath);
  const readOnly = [
    "/usr",
    "/lib",
    "/lib64",
    dirname(node),
    project,
    realpathSync(join(project, "node_modules")),
  ];
  const { id } = await docker.createContainer({
    Image: await testImage(),
    name: uniqueName(subject),
    Labels: { [testLabel]: subject },
    User: `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`,
    Cmd: [
      node,
      join(project, "src/bin/fairlead.ts"),
      "agent",
      "--insecure",
      `--server=${server}`,
      "--token=fl1.none.secret",
      `--data=${join(folder, "data")}`,
      `--docker-host=unix://${join(folder, "docker.sock")}`,
    ],
    HostConfig: {
      NetworkMode: "host",
      Binds: [...[...new Set(readOnly)].map((path) => `${path}:${path}:ro`), `${folder}:${folder}`],
    },
  });
  await docker.getContainer(id).start();
  return id;
}

function reasonOf({ end }: CommandResult): string | undefined {
  return end.case === "failure" ? end.value.reason : undefined;
}
