import { create, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { CommandResultSchema } from "../../../src/gen/fairlead/agent/v1/command_pb.js";
import { ContainerService } from "../../../src/gen/fairlead/container/v1/container_service_pb.js";
import { eventually, testControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, inspectWeb, rejection, stopWeb } from "../../support/dispatching.ts";
import type { RawAgent } from "../../support/raw-agent.ts";
import { begin, end, idOf, seen } from "../inventory/inventory-steps.ts";

const partBytes = 48 * 1024;

/** The parts of an inspection's result with so many bytes of the engine's own words. */
function partsOf(commandId: string, json: string) {
  const inspection = { container: { id: idOf("a"), name: "web" }, engineJson: json };
  const result = create(CommandResultSchema, {
    commandId,
    attempt: 1,
    end: { case: "outcome", value: { detail: { case: "inspection", value: inspection } } },
  });
  const whole = toBinary(CommandResultSchema, result);
  const count = Math.ceil(whole.byteLength / partBytes);
  return Array.from({ length: count }, (_, index) => ({
    commandId,
    index,
    last: index === count - 1,
    data: whole.subarray(index * partBytes, (index + 1) * partBytes),
  }));
}

function sendParts(agent: RawAgent, parts: ReturnType<typeof partsOf>): void {
  for (const part of parts) {
    agent.send({ resultParts: [part] });
    agent.send({});
  }
}

describe("large answers", () => {
  it("S23 a result of 1 MB arrives whole, in parts between heartbeats", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const json = JSON.stringify({ blob: randomBytes(500_000).toString("hex") });
    const call = dispatchTo(plane, agent, inspectWeb);
    const parts = partsOf((await agent.command()).commandId, json);
    assert.ok(parts.length > 20);
    sendParts(agent, parts);
    const { outcome } = await call;
    assert.ok(outcome?.detail.case === "inspection");
    assert.equal(outcome.detail.value.engineJson, json);
  });

  it("S23 two results whose parts are mixed arrive whole", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const texts = ["a", "b"].map((letter) => JSON.stringify(letter.repeat(200_000)));
    const calls = texts.map(() => dispatchTo(plane, agent, inspectWeb));
    const commands = [await agent.command(), await agent.command()];
    const [first = [], second = []] = commands.map(({ commandId }, index) =>
      partsOf(commandId, texts[index] ?? ""),
    );
    for (const [index, part] of first.entries()) sendParts(agent, [part, ...second.slice(index, index + 1)]);
    const details = (await Promise.all(calls)).map(({ outcome }) => outcome?.detail);
    const answers = details.map((detail) => (detail?.case === "inspection" ? detail.value.engineJson : ""));
    assert.deepEqual(answers.toSorted(), texts);
  });

  it("S23 a part out of order, too large or lost fails its command with INVALID_RESULT, and the session goes on", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const spoil: ((parts: ReturnType<typeof partsOf>) => ReturnType<typeof partsOf>)[] = [
      (parts) => parts.toReversed(),
      ([first, , ...rest]) => (first === undefined ? [] : [first, ...rest]),
      (parts) => parts.map((part) => (part.last ? { ...part, data: new Uint8Array(partBytes + 1) } : part)),
      (parts) => parts.map((part) => (part.last ? { ...part, data: new Uint8Array([0xff]) } : part)),
    ];
    for (const [index, spoiled] of spoil.entries()) {
      const call = dispatchTo(plane, agent, index % 2 === 0 ? inspectWeb : stopWeb);
      const { commandId } = await agent.command();
      sendParts(agent, spoiled(partsOf(commandId, "j".repeat(200_000))));
      const error = await rejection(call, "INVALID_RESULT");
      assert.equal(error.metadata["command_id"], commandId);
    }
    assert.ok(plane.controlPlane.sessions.isOnline(agent.identity.agentId));
  });

  it("S23 a result of more than 4 MiB fails its command with INVALID_RESULT", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const call = dispatchTo(plane, agent, inspectWeb);
    const { commandId } = await agent.command();
    sendParts(agent, partsOf(commandId, "j".repeat(4 * 1024 * 1024 + 1)));
    await rejection(call, "INVALID_RESULT");
  });

  it("S23 a snapshot of 2,000 containers over many frames arrives whole, and counts only when it is complete", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const { hostId = "" } = agent.welcome ?? {};
    agent.send({ inventory: [begin(), seen({ id: idOf("old"), name: "old" }), end()] });
    const containers = Array.from({ length: 2_000 }, (_, index) =>
      seen({ id: `${index}`.padStart(64, "0"), name: `web-${index}`, image: "i".repeat(200) }),
    );
    agent.send({ inventory: [begin()] });
    for (let start = 0; start < containers.length; start += 100) {
      agent.send({ inventory: containers.slice(start, start + 100) });
      agent.send({});
    }
    const { inventory } = plane.controlPlane;
    await eventually(() => inventory.container(hostId, "1999".padStart(64, "0")), "the last container");
    assert.ok(inventory.container(hostId, idOf("old")));
    agent.send({ inventory: [end()] });
    await eventually(() => inventory.container(hostId, idOf("old")) === undefined, "the end of the snapshot");
    assert.equal(inventory.host(hostId)?.containerCount, 2_000);
    const { containers: page } = await plane.client(ContainerService).listContainers({ pageSize: 1_000 });
    assert.equal(page.length, 1_000);
  });
});
