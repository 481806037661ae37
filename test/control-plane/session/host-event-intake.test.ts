import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { EventLog } from "../../../src/control-plane/events/event-log.ts";
import type { AgentSession } from "../../../src/control-plane/session/agent-session.ts";
import { HostEventIntake } from "../../../src/control-plane/session/host-event-intake.ts";
import { newId } from "../../../src/domain/ids.ts";
import { ContainerAction, HostEventSchema } from "../../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { ControlFrameSchema } from "../../../src/gen/fairlead/agent/v1/frame_pb.js";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { KeyedTurns } from "../../../src/resilience/keyed-turns.ts";
import { testControlPlane, type TestControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, stopWeb } from "../../support/dispatching.ts";
import type { RawAgent } from "../../support/raw-agent.ts";
import { recordedEvents } from "../../support/recorded-events.ts";
import { idOf } from "../inventory/inventory-steps.ts";

type HostEventInit = MessageInitShape<typeof HostEventSchema>;

const at = Date.now();

function started(number: number, more: HostEventInit = {}): HostEventInit {
  return {
    eventTime: timestampFromMs(at + number),
    event: {
      case: "container",
      value: { action: ContainerAction.STARTED, containerId: idOf("a"), containerName: `${number}` },
    },
    ...more,
  };
}

async function stored(agent: RawAgent, count: bigint): Promise<void> {
  await agent.frame(({ storedHostEvents }) => storedHostEvents === count);
}

async function names(plane: TestControlPlane): Promise<string[]> {
  const events = await recordedEvents(plane, EventType.CONTAINER_STARTED);
  return events.map(({ containerName, attributes }) =>
    attributes["caught_up"] === "true" ? `${containerName} caught up` : containerName,
  );
}

/** What happened in the first millisecond, and may have been told before. */
function together(action: ContainerAction, containerId: string): HostEventInit {
  return {
    eventTime: timestampFromMs(at + 1),
    caughtUp: true,
    event: { case: "container", value: { action, containerId, containerName: containerId.slice(0, 1) } },
  };
}

function unexpected(): never {
  throw new Error("too little waits for that");
}

describe("the control plane's intake of host events", () => {
  it("L06 tells the agent how many are stored, good or not, and only when they are", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    assert.equal(agent.welcome?.acknowledgesHostEvents, true);
    const odd = { event: { case: undefined } } as const;
    agent.send({ hostEvents: [started(1), odd, started(2)] });
    await stored(agent, 3n);
    assert.deepEqual(await names(plane), ["1", "2"]);
    agent.send({ hostEvents: [started(3)] });
    await stored(agent, 4n);
    assert.deepEqual(await names(plane), ["1", "2", "3"]);
  });

  it("L05 L06 what is told again is stored once, in the same session, in the next, and after a restart", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    agent.send({ hostEvents: [1, 2].map((number) => started(number)) });
    await stored(agent, 2n);
    const again = (...numbers: number[]) => numbers.map((number) => started(number, { caughtUp: true }));
    agent.send({ hostEvents: again(1, 2, 3) });
    await stored(agent, 5n);
    const back = await plane.returned(agent);
    back.send({ hostEvents: [...again(2, 3, 4), started(5)] });
    await stored(back, 4n);
    await plane.restart();
    const later = await plane.returned(agent);
    later.send({ hostEvents: again(1, 2, 3, 4, 5, 6) });
    await stored(later, 6n);
    assert.deepEqual(await names(plane), ["1", "2", "3 caught up", "4 caught up", "5", "6 caught up"]);
  });

  it("L06 what could not be stored, and all that comes behind it in the session, is not told as stored", async () => {
    const told: bigint[] = [];
    let works = true;
    const intake = new HostEventIntake(
      {
        session: {
          identity: { hostId: "host-1", hostName: "one" },
          send: (item: Uint8Array) => told.push(fromBinary(ControlFrameSchema, item).storedHostEvents),
        } as unknown as AgentSession,
        call: { isPaused: () => false, pause: unexpected, resume: unexpected },
      },
      {
        settings: { maxUnstoredEvents: 100 },
        events: { recordMany: () => Promise.resolve(works) } as unknown as EventLog,
        storage: { events: { newestOfHost: () => Promise.resolve([]) } },
        eventTurns: new KeyedTurns(),
        traffic: { callerOf: () => Promise.resolve(undefined) },
      },
    );
    for (const isWorking of [true, false, true]) {
      works = isWorking;
      intake.take([create(HostEventSchema, started(1))], 1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(told, [1n]);
  });

  it("L05 what happened in one millisecond, to several containers or in several ways, is several facts", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    agent.send({ hostEvents: [started(1)] });
    await stored(agent, 1n);
    agent.send({
      hostEvents: [
        together(ContainerAction.STARTED, idOf("a")),
        together(ContainerAction.STARTED, idOf("b")),
        together(ContainerAction.DIED, idOf("a")),
      ],
    });
    await stored(agent, 4n);
    assert.deepEqual(await names(plane), ["1", "b caught up"]);
    assert.equal((await recordedEvents(plane, EventType.CONTAINER_DIED)).length, 1);
  });

  it("L06 finds what is known behind hundreds of newer events, and not what another host reported", async () => {
    await using plane = await testControlPlane();
    const [agent, other] = [await plane.enrolled(), await plane.enrolled()];
    other.send({ hostEvents: [started(0)] });
    await stored(other, 1n);
    const many = Array.from({ length: 700 }, (_, number) => started(number + 1));
    for (let index = 0; index < many.length; index += 100) {
      agent.send({ hostEvents: many.slice(index, index + 100) });
    }
    await stored(agent, 700n);
    agent.send({ hostEvents: [started(0, { caughtUp: true }), started(1, { caughtUp: true })] });
    await stored(agent, 702n);
    const all = await names(plane);
    assert.deepEqual([all.length, all.filter((name) => name === "1").length], [702, 1]);
    assert.equal(all.at(-1), "0 caught up");
  });

  it("L10 adds the caller of the command that caused an event, also after a restart, and believes no agent about another's command", async () => {
    await using plane = await testControlPlane();
    const [agent, other] = [await plane.enrolled(), await plane.enrolled()];
    const call = dispatchTo(plane, agent, stopWeb, { caller: "alice" });
    const { commandId, ...sent } = await agent.command();
    agent.send({ hostEvents: [started(1, { commandId })] });
    await stored(agent, 1n);
    agent.succeed({ commandId, ...sent }, true);
    await call;
    agent.send({ hostEvents: [started(2, { commandId })] });
    await stored(agent, 2n);
    other.send({
      hostEvents: [
        started(3, { commandId }),
        started(4, { commandId: newId() }),
        started(5, { commandId: "no id" }),
        started(6, { fromOutside: true }),
      ],
    });
    await stored(other, 4n);
    await plane.restart();
    const back = await plane.returned(agent);
    back.send({ hostEvents: [started(7, { commandId })] });
    await stored(back, 1n);
    const told = (await recordedEvents(plane, EventType.CONTAINER_STARTED)).map((event) => [
      event.containerName,
      event.actor,
      event.commandId,
      event.attributes["origin"],
    ]);
    const caused = (name: string) => [name, "alice", commandId, undefined];
    assert.deepEqual(told, [
      caused("1"),
      caused("2"),
      ["3", "", "", undefined],
      ["4", "", "", undefined],
      ["5", "", "", undefined],
      ["6", "", "", "outside"],
      caused("7"),
    ]);
  });
});
