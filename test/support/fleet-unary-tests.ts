import assert from "node:assert/strict";
import { killPrograms, runProgram } from "../cli/process.ts";
import { RestartPolicy_Mode } from "../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { FilesystemChange_Kind } from "../../src/gen/fairlead/container/v1/filesystem_change_pb.js";
import { eventually } from "./control-plane-harness.ts";
import { rejection } from "./dispatching.ts";
import { patienceMs } from "./fleet.ts";
import { type FleetKit, main } from "./fleet-kit.ts";

const mebibyte = 1024n * 1024n;

/** Looking into containers and changing what they may use, through the API and the command line. */
export function unaryTests(kit: FleetKit): void {
  after(killPrograms);

  it("O15 a container's processes and changed files, through the API", async () => {
    const { containers } = kit.fleet.api;
    const { id } = await kit.make({ command: ["sh", "-c", "touch /made; sleep 600"] });
    const changes = async () => (await containers.listChanges({ container: id })).changes?.changes ?? [];
    await eventually(async () => (await changes()).length > 0, "the file is made", patienceMs);
    assert.deepEqual(
      (await changes()).map(({ path, kind }) => [path, kind]),
      [["/made", FilesystemChange_Kind.ADDED]],
    );
    const { table, container } = await containers.listProcesses({ container: id, psOptions: "-o pid,args" });
    assert.equal(container?.id, id);
    assert.deepEqual(table?.titles, ["PID", "COMMAND"]);
    assert.match(table?.processes[0]?.values[1] ?? "", /sleep 600/);
    assert.equal(table?.truncated, false);
    await rejection(containers.listProcesses({ container: id, psOptions: "--nonsense" }), "INVALID_ARGUMENT");
    await containers.killContainer({ container: id });
    await kit.fleet.untilTrue(main, kit.engine);
    await rejection(containers.listProcesses({ container: id }), "CONFLICT");
  });

  it("O04 O05 limits are changed while a container runs, and the inventory tells them", async () => {
    const { containers } = kit.fleet.api;
    const { id } = await kit.make();
    const update = {
      memoryBytes: 64n * mebibyte,
      pids: 40,
      restartPolicy: { mode: RestartPolicy_Mode.UNLESS_STOPPED },
    };
    const { changed, container } = await containers.updateContainer({ container: id, update });
    assert.equal(changed, true);
    assert.deepEqual([container?.limits?.memoryBytes, container?.limits?.pids], [64n * mebibyte, 40]);
    assert.equal(container?.restartPolicy, "unless-stopped");
    assert.equal((await containers.updateContainer({ container: id, update })).changed, false);
    await kit.fleet.untilContainer(id, ({ limits, restartPolicy }) => {
      return limits?.pids === 40 && restartPolicy === "unless-stopped";
    });
    const little = containers.updateContainer({ container: id, update: { memoryBytes: 4096n } });
    assert.match(
      (await rejection(little, "INVALID_ARGUMENT")).message,
      /Minimum memory limit allowed is 6MB/,
    );
  });

  it("O04 O15 a person looks into a container and changes its limits with the command line", async () => {
    const { id, name } = await kit.make({ command: ["sh", "-c", "touch /made; sleep 600"] });
    await eventually(async () => (await said("diff", name)) === "A /made", "the file is made", patienceMs);
    assert.match(await said("top", `${main}/${name}`, "-o", "pid,args"), /^PID +COMMAND\n\d+ .*sleep 600$/);
    assert.equal(await said("update", "-m", "64m", "--restart", "on-failure:2", name), name);
    await kit.fleet.untilContainer(id, ({ restartPolicy }) => restartPolicy === "on-failure:2");
  });

  async function said(...args: string[]): Promise<string> {
    const env = { FAIRLEAD_KEY_FILE: kit.fleet.plane.controlPlane.keyFile ?? "" };
    const { code, stdout, stderr } = await runProgram(args, env);
    assert.equal(code, 0, stderr);
    return stdout.trim();
  }
}
