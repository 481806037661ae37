import assert from "node:assert/strict";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { killPrograms, runProgram } from "../cli/process.ts";
import { fleetImage } from "./fleet-engine.ts";
import { type FleetKit, main } from "./fleet-kit.ts";

/** The command line as a process, against the same fleet. */
export function commandLineTests(kit: FleetKit): void {
  after(killPrograms);

  it("O04 O05 a person creates, sees, stops and removes a container with the command line", async () => {
    const { fleet, engine } = kit;
    const name = engine.uniqueName();
    const labels = Object.entries(engine.labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
    const where = ["--host", main, "--start", "--name", name];
    const id = await said("create", ...where, ...labels, fleetImage, "sleep", "600");
    assert.equal(await kit.trueState({ id, name }), "running");
    const [listed] = JSON.parse(await said("ps", "--json", "--filter", `name=${name}`));
    assert.deepEqual([listed.id, listed.host.name], [id, main]);
    assert.equal(await said("stop", "-t", "0", name), name);
    assert.equal(await kit.trueState({ id, name }), "exited");
    assert.equal(await said("stop", `${main}/${name}`), `${main}/${name}`);
    const inspected = JSON.parse(await said("inspect", id.slice(0, 12)));
    assert.equal(inspected[0].Id, id);
    await said("rm", name);
    assert.equal(await kit.trueState({ id, name }), undefined);
    await fleet.untilTrue(main, engine);
  });

  it("O11 O12 a person reads a log byte for byte", async () => {
    const { id, name } = await kit.make({
      command: ["sh", "-c", "printf 'one\\n\\000\\377\\n'; echo two >&2; printf end"],
    });
    await kit.fleet.untilContainer(id, ({ state }) => state === ContainerState.EXITED);
    const { code, stdout, stderr } = await run("logs", `${main}/${name}`);
    assert.deepEqual([code, stdout, stderr], [0, "one\n\0\ufffd\nend", "two\n"]);
  });

  it("O06 O10 a person reads why something was refused, with its reason and the command's id", async () => {
    const name = kit.engine.uniqueName();
    const id = await kit.engine.byHand.create(name, { "dev.fairlead.protected": "true" });
    await kit.fleet.untilContainer(id, () => true);
    const [missing, refused] = await Promise.all([
      run("start", `${main}/no-such-thing`),
      run("rm", "-f", name),
    ]);
    assert.deepEqual([missing.code, refused.code], [1, 1]);
    assert.match(
      missing.stderr,
      /No such container: no-such-thing.*\(CONTAINER_NOT_FOUND, command [0-9a-f-]{36}\)/,
    );
    assert.match(refused.stderr, /is protected.*\(PROTECTED_CONTAINER, command [0-9a-f-]{36}\)/);
  });

  function run(...args: string[]) {
    return runProgram(args, { FAIRLEAD_KEY_FILE: kit.fleet.plane.controlPlane.keyFile ?? "" });
  }

  async function said(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await run(...args);
    assert.equal(code, 0, stderr);
    return stdout.trim();
  }
}
