import assert from "node:assert/strict";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import type { LogLine } from "./agent-harness.ts";
import { eventually } from "./control-plane-harness.ts";
import { rejection } from "./dispatching.ts";
import { noGrace, patienceMs } from "./fleet.ts";
import { type FleetKit, main } from "./fleet-kit.ts";

/** What is told of all this. */
export function eventTests(kit: FleetKit): void {
  it("L05 each fact of a container's life is one event, in its order, whatever the engine makes of it", async () => {
    const { containers } = kit.fleet.api;
    const { id } = await kit.make();
    const target = { container: id, gracePeriod: noGrace };
    await containers.restartContainer(target);
    await containers.pauseContainer(target);
    await containers.unpauseContainer(target);
    await containers.stopContainer(target);
    await containers.renameContainer({ ...target, newName: kit.engine.uniqueName() });
    await containers.removeContainer(target);
    const facts = async () => {
      const events = await kit.fleet.events({ container: id });
      return events.filter(({ type, containerId }) => containerId === id && type !== EventType.COMMAND_ENDED);
    };
    await eventually(
      async () => (await facts()).some(({ type }) => type === EventType.CONTAINER_REMOVED),
      "the removal is told",
      patienceMs,
    );
    const told = await facts();
    assert.deepEqual(
      told.map(({ type }) => EventType[type]),
      [
        "CONTAINER_CREATED",
        "CONTAINER_STARTED",
        "CONTAINER_DIED",
        "CONTAINER_STARTED",
        "CONTAINER_PAUSED",
        "CONTAINER_UNPAUSED",
        "CONTAINER_DIED",
        "CONTAINER_RENAMED",
        "CONTAINER_REMOVED",
      ],
    );
    for (const { type, attributes, hostName } of told) {
      assert.equal(hostName, main);
      if (type === EventType.CONTAINER_DIED) assert.equal(attributes["exit_code"], "137");
    }
  });

  it("L01 every command's end is one event, a good one and a bad one", async () => {
    const { containers } = kit.fleet.api;
    const { id } = await kit.make({ start: false });
    const good = await containers.startContainer({ container: id });
    const bad = await rejection(
      containers.unpauseContainer({ container: "no-such", host: main }),
      "CONTAINER_NOT_FOUND",
    );
    const ends = async (commandId = "") =>
      (await kit.fleet.events({ commandId })).map(({ type, attributes, actor }) => {
        const { operation, state, reason } = attributes;
        return [EventType[type], actor, operation, state, reason];
      });
    assert.deepEqual(await ends(good.commandId), [
      ["COMMAND_ENDED", "admin", "start_container", "SUCCEEDED", undefined],
    ]);
    assert.deepEqual(await ends(bad.metadata["command_id"]), [
      ["COMMAND_ENDED", "admin", "unpause_container", "FAILED", "CONTAINER_NOT_FOUND"],
    ]);
  });

  it("L09 every log line of a command, in both processes, has its id, its agent and the session's epoch", async () => {
    const { fleet } = kit;
    const { id } = await kit.make();
    const { commandId } = await fleet.api.containers.stopContainer({ container: id, gracePeriod: noGrace });
    const serverLines = fleet.plane.logLines.map((line) => JSON.parse(line) as LogLine);
    for (const lines of [serverLines, fleet.agentLines]) {
      assert.ok(lines.some((line) => line["command_id"] === commandId));
      for (const line of lines.filter((each) => each["command_id"] !== undefined)) {
        assert.match(String(line["agent_id"]), /./, JSON.stringify(line));
        assert.ok(Number(line["session_epoch"]) > 0, JSON.stringify(line));
      }
    }
  });
}
