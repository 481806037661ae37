import assert from "node:assert/strict";
import { FilesystemChange_Kind } from "../../src/gen/fairlead/container/v1/filesystem_change_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { type EngineKit, refused, settled } from "./engine-kit.ts";
import { exec, toEnd } from "./engine-process-kit.ts";

const { ADDED, DELETED, MODIFIED } = FilesystemChange_Kind;

/** Looking into containers: their processes and their files. */
export function observationTests(kit: EngineKit): void {
  it("O15 the processes of a container, with the columns that docker shows or those asked for", async () => {
    const { id, name } = await kit.run();
    const { titles, processes } = await kit.engine.listProcesses(name, "", neverAborted);
    assert.deepEqual(titles, ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    assert.deepEqual(
      processes.map((row) => [row[0], row.at(-1)]),
      [["root", "sleep 600"]],
    );
    const sleeper = await exec(kit, id, ["sleep", "300"]);
    const list = () => kit.engine.listProcesses(id, "-o pid,comm,args", neverAborted);
    await settled(async () => (await list()).processes.length === 2);
    const both = await list();
    await sleeper.kill();
    assert.deepEqual(both.titles, ["PID", "COMMAND", "COMMAND"]);
    assert.deepEqual(
      new Set(both.processes.map(([, ...row]) => row.join(" "))),
      new Set(["sleep sleep 300", "sleep sleep 600"]),
    );
    const byUser = await kit.engine.listProcesses(id, "aux", neverAborted);
    assert.deepEqual(byUser.titles.slice(0, 3), ["USER", "PID", "%CPU"]);
  });

  it("O15 O06 processes that cannot be listed: the engine's own words", async () => {
    const { id } = await kit.run();
    const list = (container: string, options: string) =>
      kit.engine.listProcesses(container, options, neverAborted);
    await refused(list(id, "--nonsense"), "INVALID_ARGUMENT", "ps: error: unknown gnu long option");
    await refused(list(id, "-o comm"), "INVALID_ARGUMENT", "Couldn't find PID field in ps output");
    await refused(list("no-such-thing", ""), "CONTAINER_NOT_FOUND", "No such container: no-such-thing");
    await kit.engine.stopContainer(id, 0, neverAborted);
    await refused(list(id, ""), "CONFLICT", `Container ${id} is not running`);
  });

  it("O15 what differs from the image, ordered by path", async () => {
    const { id } = await kit.run();
    assert.deepEqual(await kit.engine.listChanges(id, neverAborted), []);
    const script = "touch /made /bin/made; rm /bin/false; touch /gone; rm /gone";
    assert.equal((await toEnd(await exec(kit, id, ["sh", "-c", script]))).exitCode, 0);
    const expected = [
      { path: "/bin", kind: MODIFIED },
      { path: "/bin/false", kind: DELETED },
      { path: "/bin/made", kind: ADDED },
      { path: "/made", kind: ADDED },
    ];
    assert.deepEqual(await kit.engine.listChanges(id, neverAborted), expected);
    await kit.engine.stopContainer(id, 0, neverAborted);
    assert.deepEqual(await kit.engine.listChanges(id, neverAborted), expected, "also when it does not run");
    await refused(
      kit.engine.listChanges("no-such-thing", neverAborted),
      "CONTAINER_NOT_FOUND",
      "No such container: no-such-thing",
    );
  });
}
