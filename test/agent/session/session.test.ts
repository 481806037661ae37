import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../../support/agent-harness.ts";
import { eventually } from "../../support/fake-control-plane.ts";

const inspect = (container: string) => ({ case: "inspectContainer", value: { container } }) as const;

/** Inspections of the container "large" are 1 MB long, or as long as the test wants. */
class LargeEngine extends SimulatedEngine {
  json = JSON.stringify({ text: "ö".repeat(500_000) });

  override async inspectContainer(container: string, signal: AbortSignal) {
    if (container !== "large") return await super.inspectContainer(container, signal);
    return { container: { id: "0".repeat(64), name: "large" }, engineJson: this.json };
  }
}

describe("a session of an agent", () => {
  it("E07 a control plane that speaks another version is named with both ranges, and gets no hello", async () => {
    const harness = new AgentHarness();
    try {
      const plane = await harness.controlPlane({ protocolRange: [2, 3] });
      const agent = await harness.agent({ server: plane.address });
      const refusal = await agent.done;
      assert.equal(refusal?.reason, "PROTOCOL_UNSUPPORTED");
      assert.match(refusal?.message ?? "", /version 1, the control plane 2 to 3/);
      assert.equal(plane.sessions[0]?.messages.length, 0);
    } finally {
      await harness.close();
    }
  });

  it("E07 each stream is signed anew, over its own challenge", async () => {
    const harness = new AgentHarness();
    try {
      // The fake control plane checks each signature against the challenge of that stream.
      const plane = await harness.controlPlane();
      await harness.agent({ server: plane.address });
      (await plane.session(1)).fail(new Error("cut"));
      const { messages, refusal } = await plane.session(2);
      assert.equal(refusal, undefined);
      assert.notDeepEqual(messages[0], plane.sessions[0]?.messages[0]);
    } finally {
      await harness.close();
    }
  });

  it("S07 whatever the control plane says renews its lease", async () => {
    const harness = new AgentHarness();
    let skippedMs = 0;
    try {
      const plane = await harness.controlPlane();
      await harness.agent({
        server: plane.address,
        clock: { ...systemClock, monotonic: () => systemClock.monotonic() + skippedMs },
      });
      const session = await plane.session();
      const container = await harness.engine.createContainer("any", sleepingSpec(), neverAborted);
      // Each pause is shorter than the 45 s of the lease, and two of them are longer.
      for (let count = 0; count < 3; count += 1) {
        skippedMs += 30_000;
        await session.result(session.command(inspect(container)));
      }
      assert.equal(plane.sessions.length, 1);
    } finally {
      await harness.close();
    }
  });

  it("S14 unknown fields and unknown messages are passed over", async () => {
    const harness = new AgentHarness();
    try {
      const plane = await harness.controlPlane();
      await harness.agent({ server: plane.address });
      const session = await plane.session();
      session.sendRaw(Buffer.from([0x7a, 0x01, 0x00])); // field 15 of the message
      session.sendRaw(Buffer.from([0x1a, 0x03, 0x7a, 0x01, 0x00])); // field 15 of a frame
      session.sendRaw(Buffer.alloc(0));
      const { end } = await session.result(session.command(inspect("nobody")));
      assert.equal(end.case === "failure" && end.value.reason, "CONTAINER_NOT_FOUND");
      assert.equal(plane.sessions.length, 1);
    } finally {
      await harness.close();
    }
  });

  it("S13 what does not decode ends the session, and the agent comes back", async () => {
    const harness = new AgentHarness();
    try {
      const plane = await harness.controlPlane();
      await harness.agent({ server: plane.address });
      (await plane.session()).sendRaw(Buffer.from([0x1a, 0x7f, 0x00]));
      await plane.session(2);
      assert.ok(harness.lines.some(({ reason }) => reason === "PROTOCOL_VIOLATION"));
    } finally {
      await harness.close();
    }
  });

  it("S23 a snapshot of 2,000 containers and an inspect of 1 MB arrive whole, in small frames, with heartbeats between them", async function () {
    this.timeout(30_000);
    const engine = new LargeEngine({ clock: systemClock, engineId: "engine-1", containers: 2000 });
    const harness = new AgentHarness(engine);
    try {
      const plane = await harness.controlPlane({
        welcome: () => ({ heartbeatInterval: durationFromMs(20), leaseDuration: durationFromMs(20_000) }),
      });
      await harness.agent({ server: plane.address });
      const session = await plane.session();
      const large = session.command(inspect("large"));
      // Reads in small sips, so that everything has to wait and heartbeats have to get between.
      for (let sip = 0; sip < 40; sip += 1) {
        session.pause();
        await delay(15);
        session.resume();
        await delay(1);
      }
      const small = session.command(inspect("nobody"));
      const { end } = await session.result(large);
      assert.equal(end.case, "outcome");
      const detail = end.case === "outcome" ? end.value.detail : undefined;
      assert.equal(detail?.case === "inspection" && detail.value.engineJson, engine.json);
      await session.result(small);
      await session.until("the snapshot", () => (session.inventory().size === 2000 ? true : undefined));
      const steps = session.all("inventory").map(({ update }) => update);
      const last = steps.find(({ case: step }) => step === "snapshotEnd");
      assert.equal(last?.case === "snapshotEnd" && last.value.containerCount, 2000);
      assert.ok(session.messages.every(({ byteLength }) => byteLength <= 65_536));
      const beats = session.frames.flatMap(({ frame: { sentTime } }) =>
        sentTime === undefined ? [] : [timestampMs(sentTime)],
      );
      const gaps = beats.slice(1).map((beat, index) => beat - (beats[index] ?? 0));
      assert.ok(beats.length > 10, `${beats.length} heartbeats`);
      assert.ok(Math.max(...gaps) < 1000, `a gap of ${Math.max(...gaps)} ms`);
    } finally {
      await harness.close();
    }
  });

  it("S23 an answer does not wait for the parts of a large one", async () => {
    const engine = new LargeEngine({ clock: systemClock, engineId: "engine-1" });
    // More than the sockets between the two can hold.
    engine.json = "x".repeat(4_000_000);
    const harness = new AgentHarness(engine);
    try {
      const plane = await harness.controlPlane();
      await harness.agent({ server: plane.address });
      const session = await plane.session();
      session.pause();
      const large = [session.command(inspect("large")), session.command(inspect("large"))];
      await delay(200);
      const small = session.command(inspect("nobody"));
      await delay(50);
      session.resume();
      for (const id of large) await session.result(id);
      const order = session.results.map(({ commandId }) => commandId);
      assert.ok(order.indexOf(small) < order.indexOf(large[1] ?? ""), "answered last");
    } finally {
      await harness.close();
    }
  });

  it("S20 a control plane that does not read stops the agent's reads, and loses none", async function () {
    this.timeout(20_000);
    const harness = new AgentHarness(new LargeEngine({ clock: systemClock, engineId: "engine-1" }));
    try {
      const plane = await harness.controlPlane();
      await harness.agent({ server: plane.address });
      const session = await plane.session();
      session.pause();
      const ids = Array.from({ length: 60 }, () => session.command(inspect("large")));
      await delay(300);
      const begun = harness.lines.filter(({ msg }) => msg === "command done").length;
      assert.ok(begun < 30, `${begun} inspections were read into memory`);
      session.resume();
      for (const id of ids) await session.result(id);
    } finally {
      await harness.close();
    }
  });

  it("L05 facts of the engine wait while there is no session, and are told after the snapshot of the next", async () => {
    const harness = new AgentHarness();
    try {
      const plane = await harness.controlPlane();
      await harness.agent({ server: plane.address, random: () => 0.5 });
      const session = await plane.session();
      await session.until(
        "the inventory",
        () => session.all("inventory").at(-1)?.update.case === "snapshotEnd" || undefined,
      );
      session.fail(new Error("cut"));
      await eventually("the end", () => harness.lines.find((line) => "wait_ms" in line));
      // More than one frame holds.
      const labels = { text: "x".repeat(1_000) };
      for (let count = 0; count < 100; count += 1) {
        await harness.engine.createContainer(`other-${count}`, sleepingSpec(labels), neverAborted);
      }
      const id = await harness.engine.createContainer("between", sleepingSpec(), neverAborted);
      const next = await plane.session(2);
      const event = await next.until("the last fact", () =>
        next
          .all("hostEvents")
          .find(({ event: told }) => told.case === "container" && told.value.containerId === id),
      );
      assert.ok(event);
      const frames = next.frames.map(({ frame }) => frame);
      const told = frames.findIndex(({ hostEvents }) => hostEvents.length > 0);
      const complete = frames.findIndex(({ inventory }) =>
        inventory.some(({ update }) => update.case === "snapshotEnd"),
      );
      assert.ok(complete > 1 && told >= complete, `${told} and ${complete}`);
      assert.equal(next.inventory().get(id), "between");
    } finally {
      await harness.close();
    }
  });
});
