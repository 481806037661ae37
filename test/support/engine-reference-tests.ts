import assert from "node:assert/strict";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { type EngineKit, refused } from "./engine-kit.ts";

/** What a caller can say wrongly, and how containers are meant. */
export function referenceTests(kit: EngineKit): void {
  it("O06 no such container, for every call, in the engine's own words", async () => {
    const nobody = kit.harness.uniqueName();
    const calls = [
      () => kit.engine.getContainer(nobody, neverAborted),
      () => kit.engine.inspectContainer(nobody, neverAborted),
      () => kit.engine.startContainer(nobody, neverAborted),
      () => kit.engine.stopContainer(nobody, 0, neverAborted),
      () => kit.engine.restartContainer(nobody, 0, neverAborted),
      () => kit.engine.killContainer(nobody, "", neverAborted),
      () => kit.engine.pauseContainer(nobody, neverAborted),
      () => kit.engine.unpauseContainer(nobody, neverAborted),
      () => kit.engine.renameContainer(nobody, kit.harness.uniqueName(), neverAborted),
      () => kit.remove(nobody),
    ];
    for (const call of calls) {
      await refused(call(), "CONTAINER_NOT_FOUND", `No such container: ${nobody}`);
    }
  });

  it("O06 a name that is taken, for create and rename", async () => {
    const { name } = await kit.make();
    const other = await kit.make();
    await refused(kit.make({}, name), "NAME_IN_USE", `"/${name}" is already in use`);
    await refused(kit.engine.renameContainer(other.id, name, neverAborted), "NAME_IN_USE", name);
    await refused(kit.make({}, "not/a name"), "INVALID_ARGUMENT", "Invalid container name");
    await refused(
      kit.engine.renameContainer(other.id, "not/a name", neverAborted),
      "INVALID_ARGUMENT",
      "Invalid container name",
    );
  });

  it("O06 a signal that is none, and a kill or pause of what does not run", async () => {
    const { id } = await kit.run();
    await refused(
      kit.engine.killContainer(id, "SIGNONSENSE", neverAborted),
      "INVALID_ARGUMENT",
      "SIGNONSENSE",
    );
    await refused(kit.engine.killContainer(id, "0", neverAborted), "INVALID_ARGUMENT", "0");
    await refused(kit.engine.killContainer(id, "99", neverAborted), "INVALID_ARGUMENT", "99");
    await kit.engine.stopContainer(id, 0, neverAborted);
    await refused(kit.engine.killContainer(id, "", neverAborted), "CONFLICT", "is not running");
    await refused(kit.engine.pauseContainer(id, neverAborted), "CONFLICT", "is not running");
  });

  it("O06 what cannot be created is refused with the reason, and leaves nothing", async () => {
    const name = kit.harness.uniqueName();
    await refused(kit.make({ image: "nobody/has-this:1" }, name), "IMAGE_NOT_FOUND", "nobody/has-this:1");
    await refused(kit.make({ command: [] }, name), "INVALID_ARGUMENT", "No command specified");
    await refused(kit.make({ limits: { memoryBytes: 4096n } }, name), "INVALID_ARGUMENT", "Minimum memory");
    await refused(kit.make({ networks: ["no-such-net"] }, name), "INVALID_ARGUMENT", "no-such-net");
    await refused(kit.make({ networks: ["host", "bridge"] }, name), "INVALID_ARGUMENT", "host");
    await refused(kit.make({ stopSignal: "SIGNONSENSE" }, name), "INVALID_ARGUMENT", "SIGNONSENSE");
    await refused(kit.engine.getContainer(name, neverAborted), "CONTAINER_NOT_FOUND", name);
  });

  it("O06 a port that another container has is a conflict at the start", async () => {
    const first = await kit.run({ ports: [{ containerPort: 80 }] });
    const { ports } = await kit.engine.getContainer(first.id, neverAborted);
    const hostPort = ports?.[0]?.hostPort ?? 0;
    assert.ok(hostPort > 0, "no port was chosen");
    const second = await kit.make({ ports: [{ containerPort: 80, hostPort }] });
    await refused(
      kit.engine.startContainer(second.id, neverAborted),
      "CONFLICT",
      "port is already allocated",
    );
  });

  it("O07 full id, unambiguous prefix and name all mean the container, also a name with dots and dashes", async () => {
    const name = `${kit.harness.uniqueName()}.web-1_a`;
    const { id } = await kit.make({}, name);
    for (const reference of [id, id.slice(0, 12), id.slice(0, 20), name]) {
      assert.equal((await kit.engine.getContainer(reference, neverAborted)).id, id, reference);
    }
    assert.deepEqual(await kit.engine.startContainer(id.slice(0, 12), neverAborted), { changed: true });
    assert.equal(await kit.stateOf(name), ContainerState.RUNNING);
  });

  it("O07 a name goes before a prefix that looks the same", async () => {
    const one = await kit.make();
    const prefix = one.id.slice(0, 14);
    const other = await kit.make({}, prefix);
    assert.equal((await kit.engine.getContainer(prefix, neverAborted)).id, other.id);
    assert.equal((await kit.engine.getContainer(one.id, neverAborted)).id, one.id);
  });

  it("O07 an ambiguous prefix is an error that lists the candidates, for reads and changes", async () => {
    // With more containers than hexadecimal digits two must begin alike.
    const made = await Promise.all(Array.from({ length: 17 }, async () => (await kit.make()).id));
    const digit = "0123456789abcdef"
      .split("")
      .find((digit) => made.filter((id) => id.startsWith(digit)).length > 1) as string;
    const expected = made.filter((id) => id.startsWith(digit));
    for (const call of [
      () => kit.engine.getContainer(digit, neverAborted),
      () => kit.engine.startContainer(digit, neverAborted),
      () => kit.engine.stopContainer(digit, 0, neverAborted),
      () => kit.remove(digit),
    ]) {
      const error = await refused(call(), "CONTAINER_AMBIGUOUS", digit);
      const candidates = error.metadata["candidates"]?.split(",") ?? [];
      assert.ok(candidates.length > 1);
      assert.deepEqual(
        candidates.filter((id) => !id.startsWith(digit)),
        [],
      );
      // Others may be there too; of ours none is left out unless the list is full.
      assert.ok(candidates.length === 16 || expected.every((id) => candidates.includes(id)));
    }
    await Promise.all(made.map((id) => kit.remove(id)));
  });
}
