import assert from "node:assert/strict";
import { FleetError } from "../../../src/domain/errors.ts";
import { testControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb } from "../../support/dispatching.ts";
import type { RawAgent } from "../../support/raw-agent.ts";

const mebibyte = 1024 * 1024;
const container = "x".repeat(60_000);
const large = { case: "inspectContainer", value: { container } } as const;

/** Answers every command, until the stream ends. Resolves with how many there were. */
async function serve(agent: RawAgent): Promise<number> {
  for (let served = 0; ; served += 1) {
    const command = await agent.command().catch(() => undefined);
    if (command === undefined) return served;
    agent.succeed(command);
  }
}

describe("an agent that reads slowly", () => {
  it("S20 fills only its own bounded queue, delays nobody else, and gets all that was taken for it", async () => {
    await using plane = await testControlPlane();
    const [slow, quick] = [await plane.enrolled(), await plane.enrolled()];
    void serve(quick);
    slow.pause();
    const sent = Array.from({ length: 200 }, () => dispatchTo(plane, slow, large));
    const settled = { busy: 0, other: 0 };
    for (const call of sent) {
      call.catch((error: unknown) => {
        settled[error instanceof FleetError && error.reason === "AGENT_BUSY" ? "busy" : "other"] += 1;
      });
    }
    const waits: number[] = [];
    for (let call = 0; call < 50; call += 1) {
      const started = performance.now();
      await dispatchTo(plane, quick, inspectWeb);
      waits.push(performance.now() - started);
    }
    const [median = 0] = waits.toSorted((one, other) => one - other).slice(25);
    assert.ok(median < 100, `a command of the other agent took ${median} ms`);

    // What the agent has no room for is refused at once, and no more than the bound (and what the streams hold) waits.
    const taken = sent.length - settled.busy;
    assert.equal(settled.other, 0);
    assert.ok(taken * container.length > 4 * mebibyte - container.length, `${taken} taken`);
    assert.ok(taken * container.length < 6 * mebibyte, `${taken} taken`);

    const serving = serve(slow);
    slow.resume();
    const outcomes = await Promise.allSettled(sent);
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, taken);
    slow.close();
    assert.equal(await serving, taken);
  });

  it("S20 gets commands again as soon as it has read", async () => {
    await using plane = await testControlPlane({ session: { maxQueuedBytes: 256 * 1024 } });
    const slow = await plane.enrolled();
    slow.pause();
    const sent = Array.from({ length: 100 }, () => dispatchTo(plane, slow, large));
    const early = await Promise.race([Promise.allSettled(sent.slice(-1)), slow.ended]);
    assert.ok(Array.isArray(early));
    void serve(slow);
    slow.resume();
    await Promise.allSettled(sent);
    await dispatchTo(plane, slow, inspectWeb);
    assert.ok(plane.controlPlane.sessions.isOnline(slow.identity.agentId));
  });
});
