import assert from "node:assert/strict";
import { ContainerAction } from "../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { rejection } from "../support/dispatching.ts";
import { eventually } from "../support/control-plane-harness.ts";
import { Fleet, noGrace, patienceMs } from "../support/fleet.ts";
import { type FleetEngine, simulatedFleetEngine } from "../support/fleet-engine.ts";
import { type RawAgent, rawIdentity } from "../support/raw-agent.ts";

// Of some there are several, because other facts cannot be had without them: an agent needs a token, a superseded session another one.
const expected: Partial<Record<keyof typeof EventType, number>> = {
  TOKEN_CREATED: 3,
  TOKEN_USED: 2,
  TOKEN_REVOKED: 1,
  ENROLMENT_REFUSED: 1,
  RECONNECTION_REFUSED: 1,
  HOST_ENROLLED: 2,
  HOST_ONLINE: 3,
  SESSION_SUPERSEDED: 1,
  ITEM_REFUSED: 1,
  CONTAINER_CREATED: 1,
  CONTAINER_STARTED: 1,
  CONTAINER_PAUSED: 1,
  CONTAINER_UNPAUSED: 1,
  CONTAINER_RENAMED: 1,
  CONTAINER_DIED: 1,
  CONTAINER_REMOVED: 1,
  CONTAINER_HEALTHY: 1,
  CONTAINER_UNHEALTHY: 1,
  CONTAINER_OUT_OF_MEMORY: 1,
  COMMAND_ENDED: 6,
  API_KEY_CREATED: 1,
  API_KEY_FIRST_USED: 1,
  ENGINE_UNAVAILABLE: 1,
  ENGINE_AVAILABLE: 1,
  HOST_DELETED: 1,
  HOST_OFFLINE: 2,
};

describe("integration: what is told of a fleet", function () {
  this.timeout(20_000);
  this.slow(5_000);

  it("L01 every change is an event, and each is told once", async () => {
    const engine = simulatedFleetEngine();
    try {
      await using fleet = await Fleet.start();
      const { id } = await fleet.enrol("real", engine.engine);
      const raw = await strangersAndClones(fleet);
      tellByHand(raw);
      await lifeOfContainer(fleet, engine);
      await outage(fleet, engine);
      await fleet.api.hosts.deleteHost({ host: raw.welcome?.hostId ?? "" });
      await raw.ended;
      await fleet.stopAgent("real");
      const told = () => countsOf(fleet);
      await eventually(
        async () => (await told()).HOST_OFFLINE === expected.HOST_OFFLINE,
        "the last event is stored",
        patienceMs,
      ).catch(() => undefined);
      assert.deepEqual(sorted(await told()), sorted(expected));
      const ofReal = await fleet.events({ types: [EventType.HOST_OFFLINE] });
      assert.equal(ofReal.at(-1)?.hostId, id);
    } finally {
      await engine.dispose();
    }
  });
});

/** A refused enrolment, a refused reconnection, and an agent whose second session takes the place of its first. */
async function strangersAndClones({ plane, api }: Fleet): Promise<RawAgent> {
  const { token, registrationToken } = await api.registrationTokens.createRegistrationToken({});
  await api.registrationTokens.revokeRegistrationToken({ id: registrationToken?.id ?? "" });
  await rejection(plane.stream().register(token), "UNAUTHENTICATED");
  const first = await plane.enrolled();
  const thief = plane.stream({ ...rawIdentity(first.identity.engineId), agentId: first.identity.agentId });
  await rejection(thief.reconnect(), "UNAUTHENTICATED");
  const second = await plane.returned(first);
  await first.ended;
  return second;
}

/** What simulated engines never tell. */
function tellByHand(agent: RawAgent): void {
  const { HEALTHY, UNHEALTHY, OUT_OF_MEMORY } = ContainerAction;
  const containers = [HEALTHY, UNHEALTHY, OUT_OF_MEMORY].map((action) => ({ action, containerId: "c1" }));
  const odd = { action: HEALTHY, containerId: "" };
  const eventTime = { seconds: 1_700_000_000n, nanos: 0 };
  agent.send({
    hostEvents: [...containers, odd].map((value) => ({ eventTime, event: { case: "container", value } })),
  });
}

async function lifeOfContainer(fleet: Fleet, engine: FleetEngine): Promise<void> {
  const { containers } = fleet.api;
  const { id } = await fleet.make("real", engine.uniqueName(), engine.labels);
  const target = { container: id, gracePeriod: noGrace };
  await containers.pauseContainer(target);
  await containers.unpauseContainer(target);
  await containers.renameContainer({ ...target, newName: engine.uniqueName() });
  await containers.stopContainer(target);
  await containers.removeContainer(target);
}

async function outage(fleet: Fleet, engine: FleetEngine): Promise<void> {
  await engine.fail();
  await fleet.untilHost("real", ({ engineAvailable }) => !engineAvailable);
  await engine.recover();
  await fleet.untilHost("real", ({ engineAvailable }) => engineAvailable);
}

async function countsOf(fleet: Fleet): Promise<Partial<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const { type } of await fleet.events()) {
    const kind = EventType[type];
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

function sorted(counts: Partial<Record<string, number>>): unknown {
  return Object.entries(counts).toSorted(([one], [other]) => one.localeCompare(other));
}
