import assert from "node:assert/strict";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { defaultRetrySettings } from "../../src/resilience/retry-schedule.ts";
import { rejection } from "./dispatching.ts";
import { Fleet } from "./fleet.ts";
import type { FleetEngine, MakeFleetEngine } from "./fleet-engine.ts";
import { main } from "./fleet-kit.ts";

/** An engine that stops and comes back while its agent stays. */
export function outageTests(makeEngine: MakeFleetEngine): void {
  describe("whose engine stops", function () {
    this.timeout(60_000);
    let engine: FleetEngine | undefined;

    before(async function () {
      engine = await makeEngine(this, "breakable");
    });
    after(() => engine?.dispose());

    it("O21 S19 the host stays online, reads say ENGINE_UNAVAILABLE, and it follows the engine again by itself", async () => {
      assert.ok(engine !== undefined);
      const retry = { ...defaultRetrySettings, initialDelayMs: 20 };
      await using fleet = await Fleet.start({ dispatch: { retry } });
      const before = await fleet.enrol(main, engine.engine);
      const id = await engine.byHand.create(engine.uniqueName());
      await fleet.untilTrue(main, engine);

      await engine.fail();
      await fleet.untilHost(main, ({ online, engineAvailable }) => online && !engineAvailable);
      await rejection(fleet.api.containers.inspectContainer({ container: id }), "ENGINE_UNAVAILABLE");
      await rejection(fleet.api.containers.startContainer({ container: id }), "ENGINE_UNAVAILABLE");
      assert.deepEqual(
        (await fleet.list(engine.labels)).map((container) => container.id),
        [id],
      );

      await engine.recover();
      // Not yet seen by anybody when the engine is back: only a fresh list can tell of it.
      await engine.byHand.create(engine.uniqueName());
      const after = await fleet.untilHost(main, ({ online, engineAvailable }) => online && engineAvailable);
      assert.equal(after.sessionEpoch, before.sessionEpoch, "the session did not last");
      await fleet.untilTrue(main, engine);
      // And of this one only the event stream can.
      const later = await engine.byHand.create(engine.uniqueName());
      await fleet.untilContainer(later, () => true);
      await engine.byHand.remove(later);
      await fleet.untilTrue(main, engine);
      const types = [EventType.ENGINE_UNAVAILABLE, EventType.ENGINE_AVAILABLE];
      assert.deepEqual(
        (await fleet.events({ types })).map(({ type }) => type),
        types.toReversed().toSorted((one, two) => two - one),
      );
    });
  });
}
