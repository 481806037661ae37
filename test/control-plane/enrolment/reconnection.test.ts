import { create, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { HelloSchema } from "../../../src/gen/fairlead/agent/v1/handshake_pb.js";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { testControlPlane, type TestControlPlane } from "../../support/control-plane-harness.ts";
import { rejection } from "../../support/dispatching.ts";
import { type RawAgent, rawIdentity } from "../../support/raw-agent.ts";
import { recordedEvent } from "../../support/recorded-events.ts";

/** The bytes of a hello with which this agent would come back. */
function returningHello(agent: RawAgent): Uint8Array {
  const { agentId } = agent.identity;
  const hello = agent.hello({ case: "reconnection", value: { agentId } as never });
  return toBinary(HelloSchema, create(HelloSchema, hello));
}

async function refused(plane: TestControlPlane, agent: RawAgent, cause: string): Promise<void> {
  assert.equal((await rejection(agent.welcomed(), "UNAUTHENTICATED")).message.includes(cause), false);
  const event = await recordedEvent(plane, EventType.RECONNECTION_REFUSED);
  assert.equal(event.attributes["cause"], cause);
  assert.equal(event.attributes["agent_id"], agent.identity.agentId);
}

describe("reconnection", () => {
  it("E08 an enrolled agent comes back with its id and a signature, also after a restart", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const back = await plane.returned(agent);
    assert.equal(back.welcome?.hostId, agent.welcome?.hostId);
    assert.equal(back.welcome?.sessionEpoch, 2);
    await plane.restart();
    assert.equal((await plane.returned(agent)).welcome?.sessionEpoch, 3);
  });

  it("E08 the id alone is not enough", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const thief = plane.stream(agent.identity);
    await thief.challenge();
    const signature = new Uint8Array(64);
    thief.sendMessage({ case: "hello", value: { hello: returningHello(agent), signature } });
    await refused(plane, thief, "SIGNATURE");
  });

  it("E08 a signature that was good once, over another challenge, is of no use", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const first = plane.stream(agent.identity);
    const { nonce } = await first.challenge();
    first.sendHello(returningHello(agent), nonce);
    await first.welcomed();
    const second = plane.stream(agent.identity);
    assert.notDeepEqual((await second.challenge()).nonce, nonce);
    // The very same bytes that opened the session before.
    second.sendHello(returningHello(agent), nonce);
    await refused(plane, second, "SIGNATURE");
  });

  it("E08 a signature with another key is of no use", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const thief = plane.stream(agent.identity);
    const { nonce } = await thief.challenge();
    thief.sendHello(returningHello(agent), nonce, generateKeyPairSync("ed25519").privateKey);
    await refused(plane, thief, "SIGNATURE");
  });

  it("E08 an agent that nobody knows gets the same answer as one whose signature is wrong", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const thief = plane.stream(agent.identity);
    await thief.challenge();
    thief.sendHello(returningHello(agent), randomBytes(32));
    const stranger = plane.stream({ ...rawIdentity(), agentId: "nobody" });
    const { nonce } = await stranger.challenge();
    stranger.sendHello(returningHello(stranger), nonce);
    const [wrong, unknown] = await Promise.all([thief.status, stranger.status]);
    assert.equal(wrong.code, 16);
    assert.deepEqual(
      [unknown.code, unknown.details, unknown.metadata.get("grpc-status-details-bin")],
      [wrong.code, wrong.details, wrong.metadata.get("grpc-status-details-bin")],
    );
    await recordedEvent(
      plane,
      EventType.RECONNECTION_REFUSED,
      ({ attributes }) => attributes["cause"] === "UNKNOWN_AGENT" && attributes["agent_id"] === "nobody",
    );
  });

  it("E08 a refused attempt does not touch the session of the real agent", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const thief = plane.stream(agent.identity);
    const { nonce } = await thief.challenge();
    thief.sendHello(returningHello(agent), nonce, generateKeyPairSync("ed25519").privateKey);
    await rejection(thief.welcomed(), "UNAUTHENTICATED");
    assert.equal(plane.controlPlane.sessions.current(agent.identity.agentId)?.identity.epoch, 1);
  });

  it("E09 an engine id other than the enrolled one is refused with both of them named", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const error = await rejection(
      plane.returned(agent, { hostFacts: { engineId: "another-engine" } as never }),
      "ENGINE_CHANGED",
    );
    assert.equal(error.metadata["engine_id"], "another-engine");
    assert.equal(error.metadata["enrolled_engine_id"], agent.identity.engineId);
    assert.match(error.message, /hosts rm raw-host/);
    const event = await recordedEvent(plane, EventType.RECONNECTION_REFUSED);
    assert.equal(event.attributes["cause"], "ENGINE_CHANGED");
    assert.equal(event.hostName, "raw-host");
  });

  it("E09 the engine is told only to an agent that has proved its key", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const thief = plane.stream({ ...agent.identity, engineId: "another-engine" });
    const { nonce } = await thief.challenge();
    thief.sendHello(returningHello(thief), nonce, generateKeyPairSync("ed25519").privateKey);
    await rejection(thief.welcomed(), "UNAUTHENTICATED");
  });

  it("E02 what a stranger says fills the event log with no more than a line", async () => {
    await using plane = await testControlPlane();
    const stranger = plane.stream({ ...rawIdentity("e".repeat(20_000)), agentId: "n".repeat(20_000) });
    const { nonce } = await stranger.challenge();
    stranger.sendHello(returningHello(stranger), nonce);
    await rejection(stranger.welcomed(), "UNAUTHENTICATED");
    const event = await recordedEvent(plane, EventType.RECONNECTION_REFUSED);
    assert.ok(JSON.stringify(event).length < 2_000);
    const other = plane.stream(rawIdentity("e".repeat(20_000)));
    await other.challenge();
    const registration = { token: "x", publicKey: other.identity.publicKey };
    other.sendHello(other.hello({ case: "registration", value: registration as never }), randomBytes(32));
    await rejection(other.welcomed(), "UNAUTHENTICATED");
    const second = await recordedEvent(plane, EventType.ENROLMENT_REFUSED);
    assert.equal(second.attributes["cause"], "SIGNATURE");
    assert.ok(JSON.stringify(second).length < 2_000);
  });
});
