import assert from "node:assert/strict";
import type { EngineNotice } from "../../../src/agent/engine/engine.ts";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { ContainerAction } from "../../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import type { FakeControlPlane, FakeSession } from "../../support/fake-control-plane.ts";

/** What a session was told, with a mark for what it was told may be known. */
function facts(session: FakeSession): string[] {
  return session.all("hostEvents").flatMap(({ event, caughtUp }) => {
    if (event.case !== "container") return [];
    return [
      `${ContainerAction[event.value.action]} ${event.value.containerName}${caughtUp ? " caught up" : ""}`,
    ];
  });
}

async function snapshot(session: FakeSession): Promise<void> {
  const isTold = () => session.all("inventory").at(-1)?.update.case === "snapshotEnd" || undefined;
  await session.until("the snapshot", isTold);
}

async function told(session: FakeSession, count: number): Promise<string[]> {
  await session.until(`${count} facts`, () => (facts(session).length >= count ? true : undefined));
  return facts(session);
}

describe("an agent that was away", () => {
  let harness: AgentHarness;
  let plane: FakeControlPlane;

  async function begin(engine?: SimulatedEngine): Promise<void> {
    harness = new AgentHarness(engine);
    plane = await harness.controlPlane({ welcome: () => ({ acknowledgesHostEvents: true }) });
  }
  afterEach(() => harness.close());

  const make = (name: string) => harness.engine.createContainer(name, sleepingSpec(), neverAborted);

  it("L06 an agent that was restarted tells what happened meanwhile, and nothing from before it was enrolled", async () => {
    await begin();
    await make("before");
    const dataDir = await harness.folder();
    const first = await harness.agent({ server: plane.address, dataDir });
    await snapshot(await plane.session());
    await first.close();
    const id = await make("meanwhile");
    await harness.engine.startContainer(id, neverAborted);
    await harness.agent({ server: plane.address, dataDir });
    const session = await plane.session(2);
    await told(session, 2);
    await make("after");
    assert.deepEqual(await told(session, 3), [
      "CREATED meanwhile caught up",
      "STARTED meanwhile caught up",
      "CREATED after",
    ]);
    const [caughtUp] = session.all("hostEvents");
    const [container] = await harness.engine
      .listContainers(neverAborted)
      .then((all) => all.filter(({ name }) => name === "meanwhile"));
    const createdMs =
      Number(container?.createdTime?.seconds) * 1000 + (container?.createdTime?.nanos ?? 0) / 1e6;
    const toldMs = Number(caughtUp?.eventTime?.seconds) * 1000 + (caughtUp?.eventTime?.nanos ?? 0) / 1e6;
    assert.ok(Math.abs(createdMs - toldMs) < 1000, "it has not the time at which it happened");
  });

  it("L06 a restarted agent tells again what was not acknowledged, marked, and at most a moment of what was", async () => {
    await begin();
    const dataDir = await harness.folder();
    const first = await harness.agent({ server: plane.address, dataDir });
    const session = await plane.session();
    await snapshot(session);
    await make("old");
    await told(session, 1);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await make("stored");
    await told(session, 2);
    session.send({ storedHostEvents: 2n });
    // More than the overlap in which an engine's order is not trusted.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await make("unheard");
    await told(session, 3);
    session.send({ storedHostEvents: 2n });
    await first.close();
    await harness.agent({ server: plane.address, dataDir });
    const again = await plane.session(2);
    await told(again, 2);
    await make("new");
    const all = await told(again, 3);
    // Asked for again because it is within the overlap of the position; the control plane knows it.
    assert.deepEqual(all, ["CREATED stored caught up", "CREATED unheard caught up", "CREATED new"]);
  });

  it("L06 what was sent over a connection that died is told again in the next session, but not what was stored", async () => {
    await begin();
    await harness.agent({ server: plane.address });
    const session = await plane.session();
    await snapshot(session);
    await make("stored");
    await make("lost");
    await told(session, 2);
    session.send({ storedHostEvents: 1n, sentTime: { seconds: 1n, nanos: 0 } });
    // Read in its order: once the command is answered, the agent knows what is stored.
    await session.result(session.command({ case: "inspectContainer", value: { container: "stored" } }));
    session.fail(new Error("cut"));
    const next = await plane.session(2);
    await told(next, 1);
    await make("new");
    assert.deepEqual(await told(next, 2), ["CREATED lost caught up", "CREATED new"]);
  });

  it("L05 L06 an event stream that breaks and is opened again repeats nothing and misses nothing", async () => {
    const broken: (() => void)[] = [];
    const reopen = Promise.withResolvers<void>();
    class BreakableEngine extends SimulatedEngine {
      override async *watch(signal: AbortSignal, sinceNs?: bigint): AsyncGenerator<EngineNotice> {
        if (broken.length > 0) await reopen.promise;
        const breaking = Promise.withResolvers<never>();
        broken.push(() => breaking.reject(new FleetError("ENGINE_UNAVAILABLE", "the socket broke")));
        breaking.promise.catch(() => undefined);
        const notices = super.watch(signal, sinceNs)[Symbol.asyncIterator]();
        for (;;) {
          const notice = await Promise.race([notices.next(), breaking.promise]);
          if (notice.done === true) return;
          yield notice.value;
        }
      }
    }
    await begin(new BreakableEngine({ clock: systemClock, engineId: "engine-1" }));
    await harness.agent({ server: plane.address });
    const session = await plane.session();
    await snapshot(session);
    await make("one");
    await told(session, 1);
    broken[0]?.();
    await session.until("the break", () =>
      harness.lines.find(({ msg }) => String(msg).includes("cannot be followed")),
    );
    await make("two");
    reopen.resolve();
    await told(session, 2);
    await make("three");
    assert.deepEqual(await told(session, 3), ["CREATED one", "CREATED two caught up", "CREATED three"]);
  });
});
