import assert from "node:assert/strict";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../src/domain/errors.ts";
import { CommandState } from "../../src/gen/fairlead/command/v1/command_pb.js";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { eventually } from "./control-plane-harness.ts";
import { rejection } from "./dispatching.ts";
import { patienceMs } from "./fleet.ts";
import { type FleetKit, main } from "./fleet-kit.ts";

/** What happens when one side goes away and comes back. Each test leaves the fleet as it was. */
export function sessionTests(kit: FleetKit): void {
  it("S06 O22 a host goes offline with its agent, keeps what is known, and is the same host when it is back", async () => {
    const { fleet } = kit;
    const made = await kit.make({ start: false });
    await fleet.untilContainer(made.id, () => true);
    const before = await fleet.untilHost(main, ({ online }) => online);
    await fleet.stopAgent(main);
    const known = await fleet.untilContainer(made.id, ({ host }) => host?.online === false);
    assert.notEqual(known.observedTime, undefined);
    await rejection(fleet.api.containers.startContainer({ container: made.id }), "AGENT_OFFLINE");
    await fleet.restartControlPlane();
    const [stored] = (await fleet.api.hosts.listHosts({})).hosts;
    assert.deepEqual([stored?.name, stored?.online, stored?.id], [main, false, before.id]);
    const after = await fleet.restartAgent(main);
    assert.deepEqual([after.id, after.agentId], [before.id, before.agentId]);
    assert.ok(after.sessionEpoch > before.sessionEpoch);
    await fleet.untilTrue(main, kit.engine);
  });

  for (const away of ["agent", "control plane"] as const) {
    it(`O03 L06 after the ${away} was away the inventory equals the engine's, and what happened meanwhile is told, each once`, async () => {
      const { fleet, engine } = kit;
      const [stays, goes, starts] = await Promise.all([kit.make(), kit.make(), kit.make({ start: false })]);
      await fleet.untilTrue(main, engine);
      const meanwhile = async () => {
        await engine.byHand.remove(goes.id);
        await engine.byHand.start(starts.id);
        await engine.byHand.create(engine.uniqueName());
      };
      if (away === "agent") {
        await fleet.stopAgent(main);
        await meanwhile();
        await fleet.restartAgent(main);
      } else {
        await fleet.plane.controlPlane.close(0);
        await meanwhile();
        await fleet.restartControlPlane();
      }
      await fleet.untilTrue(main, engine);
      await toldOnce(kit, goes.id, ["CREATED", "STARTED", "DIED", "REMOVED"], ["DIED", "REMOVED"]);
      await toldOnce(kit, starts.id, ["CREATED", "STARTED"], ["STARTED"]);
      const ids = (await fleet.list(engine.labels)).map(({ id }) => id);
      assert.ok(ids.includes(stays.id) && ids.includes(starts.id) && !ids.includes(goes.id));
    });
  }

  it("S12 a drain lets a running command end and refuses new ones, and the agents come back", async () => {
    const { fleet } = kit;
    const [busy, idle] = await Promise.all([kit.make(), kit.make({ start: false })]);
    const { containers, commands } = fleet.api;
    const stop = containers.stopContainer({ container: busy.id, gracePeriod: durationFromMs(2_000) });
    await eventually(
      async () => {
        const accepted = { container: busy.id, states: [CommandState.ACCEPTED] };
        return (await commands.listCommands(accepted)).commands.length === 1;
      },
      "the agent has the command",
      patienceMs,
    );
    const closed = fleet.plane.controlPlane.close(patienceMs);
    await refusedByDrain(containers.startContainer({ container: idle.id }));
    const { changed, container } = await stop;
    assert.deepEqual([changed, container?.exitCode], [true, 137]);
    await closed;
    assert.equal(await kit.trueState(idle), "created", "what was refused was done");
    await fleet.restartControlPlane();
    await fleet.untilHost(main, ({ online }) => online);
    await fleet.untilTrue(main, kit.engine);
  });
}

/** Waits until these facts of a container are events, in this order and no other, the last ones marked as told late. */
async function toldOnce(
  { fleet }: FleetKit,
  container: string,
  actions: readonly string[],
  late: readonly string[],
): Promise<void> {
  const told = async () =>
    (await fleet.events({ container })).filter(({ type }) => EventType[type].startsWith("CONTAINER_"));
  await eventually(async () => (await told()).length >= actions.length, "all is told", patienceMs);
  const events = await told();
  const words = events.map(({ type }) => EventType[type].replace("CONTAINER_", ""));
  assert.deepEqual(words, actions);
  const caughtUp = events.filter(({ attributes }) => attributes["caught_up"] === "true");
  assert.deepEqual(
    caughtUp.map(({ type }) => EventType[type].replace("CONTAINER_", "")).slice(-late.length),
    late,
  );
  if (late.includes("REMOVED")) {
    // Done by hand: nobody here did, whoever was away.
    const origins = caughtUp.slice(-late.length).map(({ attributes }) => attributes["origin"]);
    assert.deepEqual(new Set(origins), new Set(["outside"]));
  }
  for (const { eventTime, recordTime } of caughtUp.slice(-late.length)) {
    assert.ok(eventTime && recordTime && timestampMs(eventTime) < timestampMs(recordTime));
  }
}

/** The answer of a control plane that drains, or of the listener that it has closed by then. */
async function refusedByDrain(call: Promise<unknown>): Promise<void> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof FleetError, "it was not refused");
  assert.ok(error.reason === "DRAINING" || error.reason === "SERVER_UNREACHABLE", error.message);
}
