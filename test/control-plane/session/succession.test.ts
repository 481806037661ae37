import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { FleetError } from "../../../src/domain/errors.ts";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { eventually, testControlPlane, type TestControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb, rejection, stopWeb } from "../../support/dispatching.ts";
import type { RawAgent } from "../../support/raw-agent.ts";
import { recordedEvent, recordedEvents } from "../../support/recorded-events.ts";

async function onlineInApi(plane: TestControlPlane): Promise<boolean[]> {
  const { hosts } = await plane.client(HostService).listHosts({});
  return hosts.map(({ online }) => online);
}

const over = new FleetError("SESSION_LOST", "the test is over");

/** What may happen to an agent's streams, and how many turns of the event loop later the next thing happens. */
const step = fc.record({
  what: fc.constantFrom("open" as const, "close" as const, "half-close" as const),
  pick: fc.nat(),
  turns: fc.nat({ max: 3 }),
});

/** Opens and closes streams of one agent in the given order, and waits until each is open or over. */
async function disturb(
  open: () => RawAgent,
  steps: readonly (typeof step extends fc.Arbitrary<infer Step> ? Step : never)[],
): Promise<RawAgent[]> {
  const streams: RawAgent[] = [];
  const opening: Promise<unknown>[] = [];
  for (const { what, pick, turns } of steps) {
    const stream = streams[pick % Math.max(1, streams.length)];
    if (what === "open" || stream === undefined) {
      const opened = open();
      streams.push(opened);
      opening.push(opened.reconnect().catch(() => undefined));
    } else if (what === "close") stream.close();
    else stream.halfClose();
    for (let turn = 0; turn < turns; turn += 1) await nextTurn();
  }
  await Promise.all(opening);
  return streams;
}

describe("succession of sessions", () => {
  it("S04 a new session ends the older one with ABORTED before it takes its first command", async () => {
    await using plane = await testControlPlane();
    const older = await plane.enrolled();
    const open = dispatchTo(plane, older, stopWeb);
    const read = dispatchTo(plane, older, inspectWeb);
    const sent = [await older.command(), await older.command()];
    const stop = sent.find(({ operation }) => operation?.operation.case === "stopContainer");
    const newer = await plane.returned(older);
    assert.equal((await older.ended).reason, "SESSION_SUPERSEDED");
    assert.equal((await older.status).code, 10);
    await rejection(read, "AGENT_DISCONNECTED");
    // The agent's hello did not know the command, so that the newer session is the one that carries it out.
    const again = await newer.command();
    assert.equal(again.commandId, stop?.commandId);
    assert.equal(again.sessionEpoch, 2);
    newer.succeed(again, true);
    assert.equal((await open).commandId, stop?.commandId);
    const superseded = await recordedEvent(plane, EventType.SESSION_SUPERSEDED);
    assert.equal(superseded.attributes["session_epoch"], "1");
  });

  it("S04 what the older session still says changes nothing", async () => {
    await using plane = await testControlPlane();
    const older = await plane.enrolled();
    const newer = await plane.returned(older);
    const open = dispatchTo(plane, newer, inspectWeb);
    const command = await newer.command();
    older.fail(command, "CONFLICT");
    newer.succeed(command);
    await open;
  });

  it("S05 the late end of a superseded session leaves the newer one online, in memory, database and API", async () => {
    await using plane = await testControlPlane();
    const older = await plane.enrolled();
    const newer = await plane.returned(older);
    older.close();
    await older.ended;
    await recordedEvent(plane, EventType.SESSION_SUPERSEDED);
    assert.equal(plane.controlPlane.sessions.current(older.identity.agentId)?.identity.epoch, 2);
    assert.deepEqual(await onlineInApi(plane), [true]);
    assert.deepEqual(await recordedEvents(plane, EventType.HOST_OFFLINE), []);
    newer.close();
    await eventually(async () => !(await onlineInApi(plane)).includes(true), "the host is offline");
  });

  it("S05 after any of 100 interleavings of opening and closing the newest session counts, and only that", async function () {
    this.timeout(60_000);
    await using plane = await testControlPlane();
    const { sessions } = plane.controlPlane;
    const agents = await Promise.all(Array.from({ length: 20 }, () => plane.enrolled()));
    const seed = Date.now() % 2 ** 31;
    const interleavings = fc.sample(fc.array(step, { minLength: 1, maxLength: 3 }), { numRuns: 100, seed });
    await Promise.all(
      agents.map(async ({ identity }, index) => {
        let epoch = 1;
        for (let run = index; run < interleavings.length; run += agents.length) {
          const streams = await disturb(() => plane.stream(identity), interleavings[run] ?? []);
          // One more, which nothing disturbs: whatever the others leave behind must not touch it.
          const welcome = await plane.stream(identity).reconnect();
          for (const stream of streams) stream.close();
          await Promise.all(streams.map(({ ended }) => ended));
          const newest = sessions.current(identity.agentId);
          assert.equal(
            newest?.identity.sessionId,
            welcome.sessionId,
            `with seed ${seed}, interleaving ${run}`,
          );
          assert.equal(newest?.over, false);
          assert.ok(welcome.sessionEpoch > epoch);
          epoch = welcome.sessionEpoch;
        }
      }),
    );
    assert.equal(sessions.size, agents.length);
    assert.deepEqual(
      await onlineInApi(plane),
      agents.map(() => true),
    );
    for (const session of sessions.all()) session.end(over);
    await eventually(async () => !(await onlineInApi(plane)).includes(true), "all hosts are offline");
  });
});
