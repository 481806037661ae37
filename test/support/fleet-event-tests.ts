import assert from "node:assert/strict";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import type { LogLine } from "./agent-harness.ts";
import { eventually } from "./control-plane-harness.ts";
import { rejection } from "./dispatching.ts";
import { noGrace, patienceMs, sleeping } from "./fleet.ts";
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

  it("L10 what a command did to a container names the command and its caller", async () => {
    const { containers } = kit.fleet.api;
    const spec = sleeping(kit.engine.labels);
    const created = await containers.createContainer({ host: main, spec, start: true });
    const { id = "" } = created.container ?? {};
    const target = { container: id, gracePeriod: noGrace };
    const restarted = await containers.restartContainer(target);
    const killed = await containers.killContainer({ ...target, signal: "SIGKILL" });
    const started = await containers.startContainer(target);
    const stopped = await containers.stopContainer(target);
    const renamed = await containers.renameContainer({ ...target, newName: kit.engine.uniqueName() });
    const removed = await containers.removeContainer(target);
    await untilTold(kit, id, [
      did("CREATED", created),
      did("STARTED", created),
      did("DIED", restarted),
      did("STARTED", restarted),
      did("DIED", killed),
      did("STARTED", started),
      did("DIED", stopped),
      did("RENAMED", renamed),
      did("REMOVED", removed),
    ]);
    const caused = await kit.fleet.events({ commandId: restarted.commandId });
    assert.deepEqual(
      new Set(caused.map(({ type }) => EventType[type])),
      new Set(["CONTAINER_DIED", "CONTAINER_STARTED", "COMMAND_ENDED"]),
    );
  });

  it("L10 what somebody did at the host is marked as from outside, and an end by itself is nobody's", async () => {
    const { byHand } = kit.engine;
    const id = await byHand.create(kit.engine.uniqueName());
    await byHand.start(id);
    await byHand.restart(id);
    await byHand.kill(id);
    await byHand.start(id);
    await byHand.remove(id);
    const words = ["CREATED", "STARTED", "DIED", "STARTED", "DIED", "STARTED", "DIED", "REMOVED"];
    await untilTold(
      kit,
      id,
      words.map((word) => `${word} from outside`),
    );
    const short = await kit.make({ command: ["sh", "-c", "exit 3"] });
    await eventually(
      async () => (await told(kit, short.id)).includes("DIED"),
      "it is told as nobody's",
      patienceMs,
    );
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
    // What it did to the container names it as well.
    const ended = async () => (await ends(good.commandId)).filter(([type]) => type === "COMMAND_ENDED");
    assert.deepEqual(await ended(), [["COMMAND_ENDED", "admin", "start_container", "SUCCEEDED", undefined]]);
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

function did(word: string, { commandId }: { readonly commandId: string }): string {
  return `${word} by admin with ${commandId}`;
}

/** What was told of a container so far, each with who did it. */
async function told({ fleet }: FleetKit, container: string): Promise<string[]> {
  const events = await fleet.events({ container });
  return events
    .filter(({ type }) => EventType[type].startsWith("CONTAINER_"))
    .map(({ type, commandId, actor, attributes }) => {
      const by = actor === "" ? [] : [`by ${actor}`];
      const command = commandId === "" ? [] : [`with ${commandId}`];
      const origin = attributes["origin"] === undefined ? [] : [`from ${attributes["origin"]}`];
      return [EventType[type].replace("CONTAINER_", ""), ...by, ...command, ...origin].join(" ");
    });
}

/** Waits until exactly this is told of a container. */
async function untilTold(kit: FleetKit, container: string, expected: readonly string[]): Promise<void> {
  const isAllTold = async () => (await told(kit, container)).length >= expected.length;
  await eventually(isAllTold, "all is told", patienceMs).catch(() => undefined);
  assert.deepEqual(await told(kit, container), expected);
}
