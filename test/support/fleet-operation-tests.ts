import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { rejection } from "./dispatching.ts";
import { noGrace, sleeping } from "./fleet.ts";
import { stateWord } from "./fleet-engine.ts";
import { type FleetKit, main } from "./fleet-kit.ts";

const protectedLabel = "dev.fairlead.protected";

/** What changes containers, through the API, with the engine itself as the witness. */
export function operationTests(kit: FleetKit): void {
  it("O04 a whole life through the API is so at the engine at each of its steps", async () => {
    const { containers } = kit.fleet.api;
    const created = await kit.make({ start: false });
    const { id } = created;
    const newName = kit.engine.uniqueName();
    const steps: [
      string,
      () => Promise<{ changed: boolean; container?: { state: number; name: string } | undefined }>,
    ][] = [
      ["running", () => containers.startContainer({ container: id })],
      ["paused", () => containers.pauseContainer({ container: id })],
      ["running", () => containers.unpauseContainer({ container: id })],
      ["running", () => containers.restartContainer({ container: id, gracePeriod: noGrace })],
      ["running", () => containers.killContainer({ container: id, signal: "WINCH" })],
      ["exited", () => containers.stopContainer({ container: id, gracePeriod: noGrace })],
      ["exited", () => containers.renameContainer({ container: id, newName })],
    ];
    assert.equal(await kit.trueState(created), "created");
    for (const [expected, step] of steps) {
      const { changed, container } = await step();
      assert.equal(changed, true, step.toString());
      assert.equal(stateWord(container?.state), expected, step.toString());
      assert.equal(await kit.trueState({ id, name: container?.name ?? "" }), expected, step.toString());
    }
    assert.equal(await kit.trueState({ id, name: newName }), "exited");
    assert.equal((await containers.removeContainer({ container: newName })).changed, true);
    assert.equal(await kit.trueState({ id, name: newName }), undefined);
    await kit.fleet.untilTrue(main, kit.engine);
  });

  it("O04 the grace of a stop and the force of a removal reach the engine", async () => {
    const { containers } = kit.fleet.api;
    const trap = "trap 'exit 7' USR1; while true; do sleep 0.1; done";
    const { id } = await kit.make({ command: ["sh", "-c", trap] });
    const before = performance.now();
    const { container } = await containers.stopContainer({
      container: id,
      gracePeriod: durationFromMs(1_000),
    });
    assert.ok(performance.now() - before > 900, "it was not given its grace");
    assert.equal(container?.exitCode, 137);
    await containers.startContainer({ container: id });
    await rejection(containers.removeContainer({ container: id }), "CONFLICT");
    await containers.removeContainer({ container: id, force: true });
    assert.equal(await kit.trueState({ id, name: container?.name ?? "" }), undefined);
  });

  it("O05 starting what runs and stopping what is stopped succeed, and change nothing", async () => {
    const { containers } = kit.fleet.api;
    const made = await kit.make();
    assert.equal((await containers.startContainer({ container: made.id })).changed, false);
    assert.equal(await kit.trueState(made), "running");
    const stop = { container: made.id, gracePeriod: noGrace };
    assert.equal((await containers.stopContainer(stop)).changed, true);
    assert.equal((await containers.stopContainer(stop)).changed, false);
    assert.equal(await kit.trueState(made), "exited");
  });

  it("O06 what the engine refuses arrives with its status, its reason and the engine's own words", async () => {
    const api = kit.fleet.plane.client(ContainerService);
    const { id, name } = await kit.make();
    const spec = sleeping(kit.engine.labels);
    const refusals = [
      [
        api.startContainer({ container: "no-such-thing", host: main }),
        Code.NotFound,
        /No such container: no-such-thing/,
      ],
      [api.createContainer({ name, host: main, spec }), Code.AlreadyExists, /already in use/],
      [
        api.killContainer({ container: id, signal: "NONSENSE" }),
        Code.InvalidArgument,
        /Invalid signal: NONSENSE/,
      ],
    ] as const;
    for (const [call, code, words] of refusals) {
      const error = ConnectError.from(
        await call.then(
          () => undefined,
          (reason: unknown) => reason,
        ),
      );
      assert.equal(error.code, code, error.message);
      assert.match(error.message, words);
    }
  });

  it("O10 a protected container is refused whatever would harm it, and lives on", async () => {
    const { containers } = kit.fleet.api;
    const name = kit.engine.uniqueName();
    const id = await kit.engine.byHand.create(name, { [protectedLabel]: "true" });
    await kit.engine.byHand.start(id);
    await kit.fleet.untilContainer(
      id,
      (container) => container.protected && stateWord(container.state) === "running",
    );
    const target = { container: name };
    const harms = {
      stop: containers.stopContainer(target),
      restart: containers.restartContainer(target),
      kill: containers.killContainer(target),
      pause: containers.pauseContainer(target),
      rename: containers.renameContainer({ ...target, newName: `${name}-2` }),
      remove: containers.removeContainer({ ...target, force: true }),
      update: containers.updateContainer({ ...target, update: { memoryBytes: 6_291_456n } }),
    };
    for (const [harm, call] of Object.entries(harms)) {
      const error = await rejection(call, "PROTECTED_CONTAINER");
      assert.match(error.message, new RegExp(name), harm);
    }
    assert.equal(await kit.trueState({ id, name }), "running");
    assert.equal((await containers.startContainer(target)).changed, false, "what does no harm is allowed");
  });
}
