import assert from "node:assert/strict";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Command, CommandState } from "../../src/gen/fairlead/command/v1/command_pb.js";
import { OfflinePolicy } from "../../src/gen/fairlead/command/v1/offline_policy_pb.js";
import { rejection } from "./dispatching.ts";
import { noGrace } from "./fleet.ts";
import { type FleetKit, main, other } from "./fleet-kit.ts";

const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const numbers = [1, 2, 3, 4, 5, 6];

/** What is promised of commands, on their whole way there and back. */
export function commandTests(kit: FleetKit): void {
  it("C01 a command has a UUIDv7, two at once have two, and each caller gets the result of its own", async () => {
    const made = await Promise.all([kit.make(), kit.make()]);
    const stops = await Promise.all(
      made.map(({ id }) => kit.fleet.api.containers.stopContainer({ container: id, gracePeriod: noGrace })),
    );
    for (const { commandId } of stops) assert.match(commandId, uuid7);
    assert.notEqual(stops[0]?.commandId, stops[1]?.commandId);
    assert.deepEqual(
      stops.map(({ container }) => container?.id),
      made.map(({ id }) => id),
    );
  });

  it("C02 an agent's failure is the same for its caller and in the journal: reason, message and metadata", async () => {
    const { containers, commands } = kit.fleet.api;
    const start = containers.startContainer({ container: "no-such-thing", host: main });
    const error = await rejection(start, "CONTAINER_NOT_FOUND");
    assert.match(error.message, /No such container: no-such-thing/);
    const { command_id: id = "", ...metadata } = error.metadata;
    const { command } = await commands.getCommand({ id });
    assert.equal(command?.state, CommandState.FAILED);
    assert.deepEqual([command?.reason, command?.message], [error.reason, error.message]);
    assert.deepEqual(command?.metadata, metadata);
  });

  it("C09 many commands to two hosts at once each get their own result", async () => {
    const { fleet } = kit;
    const labels = kit.freshLabels();
    const wanted = [main, other].flatMap((host) =>
      numbers.map(() => ({ host, name: kit.engine.uniqueName() })),
    );
    const made = await Promise.all(
      wanted.map(({ host, name }) => fleet.make(host, name, labels, { start: false })),
    );
    assert.deepEqual(
      made.map(({ host, name }) => ({ host: host?.name, name })),
      wanted,
    );
    const inspected = await Promise.all(
      wanted.map(({ host, name }) => fleet.api.containers.inspectContainer({ container: name, host })),
    );
    assert.deepEqual(
      inspected.map(({ container }) => container?.id),
      made.map(({ id }) => id),
    );
  });

  it("C32 commands for one container keep their order; another container does not wait for them", async () => {
    const { containers } = kit.fleet.api;
    const [slow, quick] = await Promise.all([kit.make(), kit.make({ start: false })]);
    // Queued, so that each is journaled before the next is asked for.
    const queued = { host: main, offlinePolicy: OfflinePolicy.QUEUE };
    const target = { ...queued, container: slow.id };
    const asked = [
      await containers.stopContainer({ ...target, gracePeriod: durationFromMs(1_000) }),
      await containers.startContainer(target),
      await containers.pauseContainer({ ...queued, container: slow.name }),
      await containers.startContainer({ ...queued, container: quick.id }),
    ];
    const ended = await Promise.all(asked.map(({ commandId }) => endOf(commandId)));
    assert.deepEqual(
      ended.map(({ state, changed }) => [state, changed]),
      asked.map(() => [CommandState.SUCCEEDED, true]),
    );
    const [stop = 0, start = 0, pause = 0, elsewhere = 0] = ended.map(
      ({ endTime }) => endTime && timestampMs(endTime),
    );
    assert.ok(stop <= start && start <= pause, `${stop}, ${start}, ${pause}`);
    assert.ok(elsewhere < stop, "the other container waited");
    assert.equal(await kit.trueState(slow), "paused");
    await containers.unpauseContainer({ container: slow.id });
  });

  async function endOf(id: string): Promise<Command> {
    const { command } = await kit.fleet.api.commands.waitCommand({ id, timeout: durationFromMs(10_000) });
    assert.ok(command !== undefined);
    return command;
  }
}
