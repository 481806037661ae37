import assert from "node:assert/strict";
import { type EventCause, EventCauses } from "../../../src/agent/inventory/event-causes.ts";
import { ContainerAction } from "../../../src/gen/fairlead/agent/v1/inventory_pb.js";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const second = 1_000_000_000n;

function inShort(cause: EventCause): string {
  return cause.kind === "command" ? cause.commandId : cause.kind;
}

describe("the causes of the engine's events", () => {
  let clock: FakeClock;
  let causes: EventCauses;
  let timeNs: bigint;
  beforeEach(() => {
    clock = new FakeClock();
    causes = new EventCauses(clock, (id) => id === "restarts");
    timeNs = 1_000n * second;
  });

  async function cause(action: keyof typeof ContainerAction, containerId = "c"): Promise<string> {
    const event = {
      action: ContainerAction[action],
      containerId,
      containerName: "",
      image: "",
      exitCode: 0,
      timeNs,
    };
    return inShort(await causes.causeOf(event, neverAborted));
  }

  it("L10 what nobody's command did came from outside, but an end, health and memory only where somebody asked", async () => {
    for (const action of [
      "CREATED",
      "STARTED",
      "PAUSED",
      "UNPAUSED",
      "RENAMED",
      "UPDATED",
      "REMOVED",
    ] as const) {
      assert.equal(await cause(action), "outside", action);
    }
    for (const action of ["DIED", "HEALTHY", "UNHEALTHY", "OUT_OF_MEMORY"] as const) {
      assert.equal(await cause(action), "none", action);
    }
    causes.asked("c");
    assert.equal(await cause("DIED", "other"), "none");
    assert.equal(await cause("DIED"), "outside");
    assert.equal(await cause("DIED"), "none", "one request ends it once");
    causes.asked("c");
    await clock.pass(60_000);
    assert.equal(await cause("DIED"), "none", "nobody asked for it of late");
  });

  it("L10 a command owns what it does to its container, while it runs and for a moment after", async () => {
    const restart = causes.begin("restart", "restartContainer", "c");
    causes.asked("c");
    assert.equal(await cause("DIED"), "restart");
    assert.equal(await cause("STARTED", "other"), "outside");
    restart.end(true);
    assert.equal(await cause("STARTED"), "restart");
    assert.equal(await cause("STARTED"), "outside", "it started it once");
    const stop = causes.begin("stop", "stopContainer", "c");
    assert.equal(await cause("PAUSED"), "outside", "a stop pauses nothing");
    stop.end(true);
    await clock.pass(2_000);
    causes.asked("c");
    assert.equal(await cause("DIED"), "outside", "a command that ended long ago does nothing more");
  });

  it("L10 a signal that a command sent explains an end that comes later, unless another came in between", async () => {
    causes.begin("kill", "killContainer", "c").end(true);
    causes.asked("c");
    await clock.pass(20_000);
    assert.equal(await cause("DIED"), "kill");
    causes.begin("kill", "killContainer", "c").end(true);
    causes.asked("c");
    await clock.pass(20_000);
    causes.asked("c");
    assert.equal(await cause("DIED"), "outside");
  });

  it("L10 a start by the engine's own restart policy is nobody's, one of a container without is somebody's", async () => {
    for (const [container, expected] of [
      ["restarts", "none"],
      ["c", "outside"],
    ] as const) {
      assert.equal(await cause("DIED", container), "none");
      assert.equal(await cause("STARTED", container), expected);
      causes.asked(container);
      assert.equal(await cause("DIED", container), "outside");
      assert.equal(await cause("STARTED", container), "outside");
    }
  });

  it("L10 a command that changed nothing caused nothing", async () => {
    causes.begin("start", "startContainer", "c").end(false);
    assert.equal(await cause("STARTED"), "outside");
  });

  it("L10 a creation is known by the container that it made, also when the engine tells of it first", async () => {
    const [mine, other] = [
      causes.begin("mine", "createContainer", undefined),
      causes.begin("other", "createContainer", undefined),
    ];
    const told = cause("CREATED", "new");
    mine.created("new");
    other.created("another");
    assert.equal(await told, "mine");
    assert.equal(await cause("STARTED", "new"), "mine");
    assert.equal(await cause("CREATED", "by-hand"), "outside");
  });

  it("L10 a creation that does not answer holds up nobody for more than two seconds", async () => {
    causes.begin("hangs", "createContainer", undefined);
    const told = cause("CREATED", "new");
    await clock.pass(2_000);
    assert.equal(await told, "outside");
  });

  it("L10 a removal right after an end has its cause, and one later its own", async () => {
    assert.equal(await cause("DIED"), "none");
    timeNs += second;
    assert.equal(await cause("REMOVED"), "none");
    causes.asked("d");
    assert.equal(await cause("DIED", "d"), "outside");
    assert.equal(await cause("REMOVED", "d"), "outside");
    assert.equal(await cause("DIED", "e"), "none");
    timeNs += 10n * second;
    assert.equal(await cause("REMOVED", "e"), "outside");
    const remove = causes.begin("remove", "removeContainer", "f");
    causes.asked("f");
    assert.deepEqual([await cause("DIED", "f"), await cause("REMOVED", "f")], ["remove", "remove"]);
    remove.end(true);
  });
});
