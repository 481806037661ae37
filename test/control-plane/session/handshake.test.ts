import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { HelloSchema } from "../../../src/gen/fairlead/agent/v1/handshake_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { eventually, testControlPlane, type TestControlPlane } from "../../support/control-plane-harness.ts";
import { rejection } from "../../support/dispatching.ts";
import { type HelloInit, type RawAgent, rawIdentity } from "../../support/raw-agent.ts";

/** A field that no version of the schema knows. */
const unknownField = new BinaryWriter()
  .tag(1_000, WireType.LengthDelimited)
  .string("from the future")
  .finish();

async function registrationOf(plane: TestControlPlane, agent: RawAgent, more: HelloInit = {}) {
  const token = await plane.controlPlane.createToken("test");
  const value = { token, publicKey: agent.identity.publicKey };
  return create(HelloSchema, agent.hello({ case: "registration", value: value as never }, more));
}

async function violatedFields(plane: TestControlPlane, more: HelloInit): Promise<string[]> {
  const token = await plane.controlPlane.createToken("test");
  const error = await rejection(plane.stream().register(token, more), "INVALID_ARGUMENT");
  return error.violations.map(({ field }) => field);
}

describe("handshake", () => {
  it("S01 a stream that says nothing ends with DEADLINE_EXCEEDED, and its slot is free again", async () => {
    await using plane = await testControlPlane({
      session: { handshakeTimeoutMs: 60, maxHandshakes: 2, maxWaitingStreams: 2 },
    });
    const silent = [plane.stream(), plane.stream()];
    await Promise.all(silent.map((agent) => agent.challenge()));
    for (const agent of silent) {
      assert.equal((await agent.ended).reason, "HANDSHAKE_TIMEOUT");
      assert.equal((await agent.status).code, 4);
    }
    // On a busy machine an honest agent, too, may take longer than that.
    await eventually(() => plane.enrolled().catch(() => undefined), "an agent in a free slot");
  });

  it("S01 a stream that leaves before its hello frees its slot at once", async () => {
    await using plane = await testControlPlane({ session: { maxHandshakes: 1 } });
    const first = plane.stream();
    await first.challenge();
    first.close();
    const second = await eventually(async () => {
      const agent = plane.stream();
      return agent.challenge().then(
        () => agent,
        () => undefined,
      );
    }, "a free slot");
    second.halfClose();
    await eventually(() => plane.enrolled().catch(() => undefined), "a slot after a half close");
  });

  it("S02 a first message that is no Hello ends with INVALID_ARGUMENT that names what was expected", async () => {
    await using plane = await testControlPlane();
    const firsts: [string, (agent: RawAgent) => void][] = [
      ["frame", (agent) => agent.send({})],
      ["empty", (agent) => agent.sendMessage(undefined)],
      ["empty", (agent) => agent.sendBytes(unknownField)],
    ];
    for (const [what, say] of firsts) {
      const agent = plane.stream();
      await agent.challenge();
      say(agent);
      const error = await rejection(agent.welcomed(), "PROTOCOL_VIOLATION");
      assert.equal((await agent.status).code, 3);
      assert.match(error.message, new RegExp(`${what}.*expected a SignedHello`));
    }
  });

  it("S02 a Hello without an identity, and bytes that are no message, end with INVALID_ARGUMENT too", async () => {
    await using plane = await testControlPlane();
    const anonymous = plane.stream();
    const { nonce } = await anonymous.challenge();
    anonymous.sendHello(anonymous.hello({ case: undefined }), nonce);
    assert.match(
      (await rejection(anonymous.welcomed(), "PROTOCOL_VIOLATION")).message,
      /Registration or a Reconnection/,
    );

    for (const bytes of [new Uint8Array([0xff]), randomBytes(300), new Uint8Array([10, 200, 1, 0])]) {
      const agent = plane.stream();
      await agent.challenge();
      agent.sendBytes(bytes);
      assert.equal((await agent.status).code, 3);
    }
    const garbled = plane.stream();
    const challenge = await garbled.challenge();
    garbled.sendHello(new Uint8Array([0xff, 0xff, 0xff]), challenge.nonce);
    await rejection(garbled.welcomed(), "PROTOCOL_VIOLATION");
  });

  it("S02 a SignedHello out of its bounds names the fields", async () => {
    await using plane = await testControlPlane();
    const agent = plane.stream();
    await agent.challenge();
    agent.sendMessage({ case: "hello", value: { hello: new Uint8Array(0), signature: new Uint8Array(63) } });
    const { violations } = await rejection(agent.welcomed(), "INVALID_ARGUMENT");
    assert.deepEqual(violations.map(({ field }) => field).toSorted(), ["hello", "signature"]);
  });

  it("E07 an enrolment is refused without a signature over this challenge, and uses no token up", async () => {
    await using plane = await testControlPlane();
    const agent = plane.stream();
    const hello = toBinary(HelloSchema, await registrationOf(plane, agent));
    const attempts: ((stream: RawAgent, nonce: Uint8Array) => void)[] = [
      (stream) => stream.sendMessage({ case: "hello", value: { hello, signature: new Uint8Array(64) } }),
      (stream) => stream.sendHello(hello, randomBytes(32)),
      (stream, nonce) => stream.sendHello(hello, nonce, generateKeyPairSync("ed25519").privateKey),
    ];
    for (const attempt of attempts) {
      const stream = plane.stream(agent.identity);
      attempt(stream, (await stream.challenge()).nonce);
      await rejection(stream.welcomed(), "UNAUTHENTICATED");
    }
    agent.sendHello(hello, (await agent.challenge()).nonce);
    await agent.welcomed();
  });

  it("E10 engine ids of every form in use are accepted", async () => {
    await using plane = await testControlPlane();
    const forms = [
      "7b6a1d1c-4a9e-4f0e-9c39-1c7c6dbd1f4e",
      "ZK5S:EEHO:6S3G:VJ3N:HKVK:5VXH:Q2EG:BBTK:HOHT:4FQP:L7XS:LBSJ",
      "c56bd4f8e1a94d7db7a2",
      "engine_1.local",
    ];
    for (const engineId of forms) {
      const token = await plane.controlPlane.createToken("test");
      await plane.stream(rawIdentity(engineId)).register(token);
    }
    const { hosts } = await plane.client(HostService).listHosts({});
    assert.deepEqual(new Set(hosts.map(({ facts }) => facts?.engineId)), new Set(forms));
  });

  it("E10 spaces, control characters, markup and nothing are refused with the field named", async () => {
    await using plane = await testControlPlane();
    const odd = [
      "with space",
      " leading",
      "line\nfeed",
      "trailing\n",
      "nul\0",
      "bell\u0007",
      "<b>",
      "é",
      "",
      "x".repeat(129),
    ];
    for (const engineId of odd) {
      const fields = await violatedFields(plane, { hostFacts: { engineId } as never });
      assert.deepEqual([...new Set(fields)], ["host_facts.engine_id"], JSON.stringify(engineId));
    }
    assert.deepEqual(await violatedFields(plane, { instanceId: new Uint8Array(3), agentVersion: "a b" }), [
      "agent_version",
      "instance_id",
    ]);
  });

  it("E16 an agent that says more than this version understands is welcomed, and its signature covers all of it", async () => {
    await using plane = await testControlPlane();
    const agent = plane.stream();
    const known = toBinary(HelloSchema, await registrationOf(plane, agent));
    const bytes = Buffer.concat([known, unknownField]);
    agent.sendHello(bytes, (await agent.challenge()).nonce);
    await agent.welcomed();

    // A field that was added on its way.
    const back = plane.stream(agent.identity);
    const { nonce } = await back.challenge();
    const { agentId } = agent.identity;
    const hello = back.hello({ case: "reconnection", value: { agentId } as never });
    const signed = toBinary(HelloSchema, create(HelloSchema, hello));
    const signature = back.sign(signed, nonce);
    back.sendMessage({ case: "hello", value: { hello: Buffer.concat([signed, unknownField]), signature } });
    await rejection(back.welcomed(), "UNAUTHENTICATED");
  });

  it("E16 a protocol version out of range is refused with both ranges named, and uses no token up", async () => {
    await using plane = await testControlPlane();
    const token = await plane.controlPlane.createToken("test");
    const error = await rejection(
      plane.stream().register(token, { protocolVersion: 9 }),
      "PROTOCOL_UNSUPPORTED",
    );
    assert.match(error.message, /version 9.* 1 to 1/);
    assert.deepEqual(
      { ...error.metadata },
      { protocol_version: "9", min_protocol_version: "1", max_protocol_version: "1" },
    );
    await rejection(plane.stream().register(token, { protocolVersion: 0 }), "PROTOCOL_UNSUPPORTED");
    const agent = plane.stream();
    const welcome = await agent.register(token);
    assert.equal(welcome.sessionEpoch, 1);
    await rejection(plane.returned(agent, { protocolVersion: 2 }), "PROTOCOL_UNSUPPORTED");
  });

  it("the welcome says what the session's settings are", async () => {
    await using plane = await testControlPlane({ session: { heartbeatIntervalMs: 7_000, leaseMs: 21_000 } });
    const { welcome } = await plane.enrolled();
    assert.equal(welcome?.heartbeatInterval?.seconds, 7n);
    assert.equal(welcome?.leaseDuration?.seconds, 21n);
    assert.equal(welcome?.maxFrameBytes, 64 * 1024);
    assert.ok(welcome?.sessionId && welcome.hostId && welcome.agentId);
  });
});
