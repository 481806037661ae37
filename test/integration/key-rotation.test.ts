import assert from "node:assert/strict";
import { createPrivateKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { IdentityFile } from "../../src/agent/identity/identity-file.ts";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { AgentHarness } from "../support/agent-harness.ts";
import { eventually, type TestControlPlane, testControlPlane } from "../support/control-plane-harness.ts";
import { type RawAgent, type RawIdentity, rawIdentity } from "../support/raw-agent.ts";
import { silentLogger } from "../support/silent-logger.ts";

/** What an agent signs to name a new key. */
function proofOf(newKey: RawIdentity, oldKey: KeyObject, nonce: Uint8Array, signer = newKey.privateKey) {
  const signed = Buffer.concat([Buffer.from("fairlead-key-v1\0"), nonce, newKey.publicKey]);
  return {
    publicKey: newKey.publicKey,
    oldKeySignature: sign(null, signed, oldKey),
    newKeySignature: sign(null, signed, signer),
  };
}

/** The nonce that the agent is asked with. */
async function nonceOf(agent: RawAgent): Promise<Uint8Array> {
  const { rotateKey } = await agent.frame((frame) => frame.rotateKey !== undefined);
  return rotateKey?.nonce ?? new Uint8Array(0);
}

const withKeyOf = (identity: RawIdentity, { privateKey, publicKey }: RawIdentity): RawIdentity => ({
  ...identity,
  privateKey,
  publicKey,
});

/** The same agent in the hands of the test, with the key that is in its file. */
async function rawOf(dataDir: string): Promise<RawIdentity> {
  const { agentId, privateKey } = JSON.parse(await readFile(join(dataDir, "agent.json"), "utf8"));
  const identity = await IdentityFile.open(dataDir, silentLogger);
  return {
    agentId,
    privateKey: createPrivateKey(privateKey),
    publicKey: identity.key.publicKey,
    engineId: "engine-1",
    journalId: randomBytes(16),
  };
}

describe("another key for an agent", () => {
  let harness: AgentHarness;
  beforeEach(() => {
    harness = new AgentHarness();
  });
  afterEach(() => harness.close());

  const start = async (plane: TestControlPlane, dataDir: string) => {
    const agent = await harness.agent({
      server: plane.agentsServer,
      token: await plane.controlPlane.createToken("test"),
      dataDir,
    });
    await agent.ready;
    return agent;
  };

  it("E15 is made and stored while it is connected, its session goes on, and the old key is refused afterwards", async () => {
    await using plane = await testControlPlane();
    const dataDir = await harness.folder();
    const agent = await start(plane, dataDir);
    const old = await rawOf(dataDir);
    const hosts = plane.client(HostService);
    const [before] = (await hosts.listHosts({})).hosts;
    const { keyDigest } = await hosts.rotateAgentKey({ host: before?.name ?? "" });

    await eventually(
      async () => !(await rawOf(dataDir)).privateKey.equals(old.privateKey),
      "the new key is kept",
    );
    assert.deepEqual((await IdentityFile.open(dataDir, silentLogger)).keys().length, 1);
    const [after] = (await hosts.listHosts({})).hosts;
    assert.deepEqual([after?.online, after?.sessionEpoch], [true, before?.sessionEpoch]);
    await assert.rejects(plane.stream(old).reconnect(), { reason: "UNAUTHENTICATED" });
    const { events } = await plane
      .client(EventService)
      .listEvents({ filter: { types: [EventType.AGENT_KEY_ROTATED] } });
    assert.deepEqual(
      events.map(({ actor, attributes }) => [actor, attributes["key_digest"]]),
      [["admin", keyDigest]],
    );

    await agent.close();
    const again = await start(plane, dataDir);
    assert.equal(again.agentId(), old.agentId);
  });

  it("E15 that was stored when the session broke is the one that the agent comes back with", async () => {
    await using plane = await testControlPlane();
    const dataDir = await harness.folder();
    await (await start(plane, dataDir)).close();
    const old = await rawOf(dataDir);
    const next = await (await IdentityFile.open(dataDir, silentLogger)).nextKey();
    const offered = { ...old, privateKey: createPrivateKey(next.pem), publicKey: next.publicKey };
    const raw = plane.stream(old);
    const { hostId } = await raw.reconnect();
    const rotating = plane.client(HostService).rotateAgentKey({ host: hostId });
    raw.send({ keyProof: proofOf(offered, old.privateKey, await nonceOf(raw)) });
    await rotating;
    raw.close();

    await start(plane, dataDir);
    assert.ok((await rawOf(dataDir)).privateKey.equals(offered.privateKey));
    assert.equal((await IdentityFile.open(dataDir, silentLogger)).keys().length, 1);
  });

  it("E15 that never arrived leaves the old one good, and is offered again", async () => {
    await using plane = await testControlPlane();
    const dataDir = await harness.folder();
    await (await start(plane, dataDir)).close();
    const old = await rawOf(dataDir);
    const next = await (await IdentityFile.open(dataDir, silentLogger)).nextKey();

    const agent = await start(plane, dataDir);
    assert.equal(agent.agentId(), old.agentId);
    const [host] = (await plane.client(HostService).listHosts({})).hosts;
    await plane.client(HostService).rotateAgentKey({ host: host?.id ?? "" });
    await eventually(
      async () => (await rawOf(dataDir)).privateKey.equals(createPrivateKey(next.pem)),
      "the key that was there",
    );
  });

  it("E15 is taken only with both proofs over the nonce of this rotation, and only when it was asked for", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const [hosts, { identity, welcome }] = [plane.client(HostService), agent];
    const other = rawIdentity();
    const rotate = () => hosts.rotateAgentKey({ host: welcome?.hostId ?? "" });
    const forgeries = [
      (nonce: Uint8Array) => proofOf(other, other.privateKey, nonce),
      (nonce: Uint8Array) => proofOf(other, identity.privateKey, nonce, identity.privateKey),
      () => proofOf(other, identity.privateKey, randomBytes(32)),
      (nonce: Uint8Array) => proofOf(identity, identity.privateKey, nonce),
    ];
    for (const forge of forgeries) {
      agent.frames.length = 0;
      const rotating = rotate();
      agent.send({ keyProof: forge(await nonceOf(agent)) });
      await assert.rejects(rotating, /did not prove/);
    }
    agent.send({ keyProof: proofOf(other, identity.privateKey, await nonceOf(agent)) });
    agent.close();
    await assert.rejects(plane.stream(withKeyOf(identity, other)).reconnect(), { reason: "UNAUTHENTICATED" });
    await plane.returned(agent);
  });

  it("E15 of an agent that is offline, or goes away, is no more than asked for", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    const rotate = () => plane.client(HostService).rotateAgentKey({ host: agent.welcome?.hostId ?? "" });
    const rotating = rotate();
    rotating.catch(() => undefined);
    await nonceOf(agent);
    await assert.rejects(rotate(), /just now/);
    agent.close();
    await assert.rejects(rotating, /session ended/);
    await assert.rejects(rotate(), /not connected/);
  });
});
