import assert from "node:assert/strict";
import { CommandState } from "../../../src/gen/fairlead/command/v1/command_pb.js";
import { CommandService } from "../../../src/gen/fairlead/command/v1/command_service_pb.js";
import { EventService } from "../../../src/gen/fairlead/event/v1/event_service_pb.js";
import { type Event, EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { RegistrationTokenService } from "../../../src/gen/fairlead/registration/v1/registration_token_service_pb.js";
import { eventually, type TestControlPlane, testControlPlane } from "../../support/control-plane-harness.ts";
import { dispatchTo, stopWeb } from "../../support/dispatching.ts";
import { rawIdentity } from "../../support/raw-agent.ts";

async function eventsOf(plane: TestControlPlane, type: EventType): Promise<Event[]> {
  const { events } = await plane
    .client(EventService)
    .listEvents({ filter: { types: [type] }, pageSize: 1000 });
  return events;
}

/** A token for one host by its name or id. */
async function tokenFor(plane: TestControlPlane, host: string): Promise<string> {
  return (await plane.client(RegistrationTokenService).createRegistrationToken({ host })).token;
}

async function onlyHost(plane: TestControlPlane) {
  const { hosts } = await plane.client(HostService).listHosts({});
  assert.equal(hosts.length, 1);
  const [host] = hosts;
  assert.ok(host);
  return host;
}

describe("an agent that never heard of its enrolment", () => {
  it("E01 comes back with its key and its spent token, and is the same host; no use is counted", async () => {
    await using plane = await testControlPlane();
    const token = await plane.controlPlane.createToken("test");
    const cut = plane.stream();
    const { nonce } = await cut.challenge();
    cut.sendHello(
      cut.hello({ case: "registration", value: { token, publicKey: cut.identity.publicKey } }),
      nonce,
    );
    // The welcome is never read.
    cut.pause();
    await eventually(async () => (await eventsOf(plane, EventType.HOST_ENROLLED)).length === 1, "enrolled");
    cut.close();

    const again = plane.stream(cut.identity);
    const welcome = await again.register(token);
    const host = await onlyHost(plane);
    assert.deepEqual([welcome.hostId, welcome.agentId], [host.id, host.agentId]);
    const [repeated, ...more] = await eventsOf(plane, EventType.ENROLMENT_REPEATED);
    assert.deepEqual([repeated?.hostId, more.length], [host.id, 0]);
    assert.equal((await eventsOf(plane, EventType.TOKEN_USED)).length, 1);
    assert.equal((await eventsOf(plane, EventType.TOKEN_REUSED)).length, 0);
    const { registrationTokens } = await plane.client(RegistrationTokenService).listRegistrationTokens({});
    assert.equal(registrationTokens[0]?.useCount, 1);

    again.close();
    assert.equal((await plane.returned(again)).welcome?.hostId, host.id);
  });

  it("E01 is refused like anybody when its token was revoked meanwhile, or when its engine is another one", async () => {
    await using plane = await testControlPlane();
    const tokens = plane.client(RegistrationTokenService);
    const { token, registrationToken } = await tokens.createRegistrationToken({});
    const agent = plane.stream();
    await agent.register(token);
    agent.close();
    const elsewhere = plane.stream({ ...agent.identity, engineId: rawIdentity().engineId });
    await assert.rejects(elsewhere.register(token), { reason: "UNAUTHENTICATED" });
    await tokens.revokeRegistrationToken({ id: registrationToken?.id ?? "" });
    await assert.rejects(plane.stream(agent.identity).register(token), { reason: "UNAUTHENTICATED" });
  });
});

describe("a spent token in other hands", () => {
  it("E19 is refused, and an event names both hosts' facts", async () => {
    await using plane = await testControlPlane();
    const token = await plane.controlPlane.createToken("test");
    const first = plane.stream();
    await first.register(token);
    const thief = plane.stream();
    await assert.rejects(
      thief.register(token, { hostFacts: { engineId: "engine-thief", hostname: "lair" } }),
      {
        reason: "UNAUTHENTICATED",
      },
    );
    const [alarm] = await eventually(async () => {
      const events = await eventsOf(plane, EventType.TOKEN_REUSED);
      return events.length > 0 ? events : undefined;
    }, "the alarm");
    const { used_address, address, used_time, token_id, ...facts } = alarm?.attributes ?? {};
    assert.deepEqual(facts, {
      used_hostname: "raw-host",
      used_engine_id: first.identity.engineId,
      hostname: "lair",
      engine_id: "engine-thief",
    });
    for (const where of [used_address, address]) assert.match(where ?? "", /^127\.0\.0\.1:\d+$/);
    assert.ok(Date.parse(used_time ?? "") > 0 && token_id !== "");
    assert.equal(alarm?.hostId, (await onlyHost(plane)).id);
  });

  it("E19 that may be used several times raises no alarm", async () => {
    await using plane = await testControlPlane();
    const { token } = await plane.client(RegistrationTokenService).createRegistrationToken({ maxUses: 2 });
    for (let use = 0; use < 2; use += 1) await plane.stream().register(token);
    await assert.rejects(plane.stream().register(token), { reason: "UNAUTHENTICATED" });
    await eventually(
      async () => (await eventsOf(plane, EventType.ENROLMENT_REFUSED)).length === 1,
      "refused",
    );
    assert.equal((await eventsOf(plane, EventType.TOKEN_REUSED)).length, 0);
  });
});

describe("a token made for a host", () => {
  it("E20 brings a host that lost its identity back with name and labels; the old identity ends at once", async () => {
    await using plane = await testControlPlane();
    const old = await plane.enrolled({ displayName: "web" });
    const hosts = plane.client(HostService);
    await hosts.updateHost({ host: "web", labels: { labels: { site: "berlin" } } });
    const before = await onlyHost(plane);
    const fresh = plane.stream(rawIdentity(old.identity.engineId));
    const welcome = await fresh.register(await tokenFor(plane, "web"), {}, { displayName: "something-else" });

    assert.equal((await old.ended).reason, "AGENT_REVOKED");
    const after = await onlyHost(plane);
    assert.deepEqual(
      [after.id, after.name, after.labels, after.createTime, after.online],
      [before.id, "web", { site: "berlin" }, before.createTime, true],
    );
    assert.equal(after.agentId, welcome.agentId);
    assert.notEqual(after.agentId, before.agentId);
    assert.ok(welcome.sessionEpoch > before.sessionEpoch);
    await assert.rejects(plane.returned(old), { reason: "UNAUTHENTICATED" });
    const [event] = await eventsOf(plane, EventType.HOST_RE_ENROLLED);
    assert.deepEqual(
      [event?.hostId, event?.attributes["previous_agent_id"], event?.attributes["agent_id"]],
      [before.id, before.agentId, after.agentId],
    );
    fresh.close();
    assert.equal((await plane.returned(fresh)).welcome?.hostName, "web");
  });

  it("E20 ends what the old agent was commanded and never told: nobody can know", async () => {
    await using plane = await testControlPlane();
    const old = await plane.enrolled({ displayName: "web" });
    const stopping = dispatchTo(plane, old, stopWeb);
    old.accept(await old.command());
    const fresh = plane.stream(rawIdentity(old.identity.engineId));
    await fresh.register(await tokenFor(plane, "web"));
    await assert.rejects(stopping, { reason: "OUTCOME_UNKNOWN" });
    const { commands } = await plane.client(CommandService).listCommands({ host: "web" });
    assert.deepEqual(
      commands.map(({ state }) => state),
      [CommandState.OUTCOME_UNKNOWN],
    );
  });

  it("E20 works once, for a host that exists, and for an engine that is no other host's", async () => {
    await using plane = await testControlPlane();
    const [web, db] = [
      await plane.enrolled({ displayName: "web" }),
      await plane.enrolled({ displayName: "db" }),
    ];
    await assert.rejects(tokenFor(plane, "nobody"), /HOST_NOT_FOUND|no host/i);
    const tokens = plane.client(RegistrationTokenService);
    await assert.rejects(tokens.createRegistrationToken({ host: "web", maxUses: 2 }), /max_uses/);

    const token = await tokenFor(plane, "web");
    const mistaken = plane.stream(rawIdentity(db.identity.engineId));
    await assert.rejects(mistaken.register(token), { reason: "ENGINE_ALREADY_ENROLLED" });
    // It was not used up, and a host may come back with another engine.
    const fresh = plane.stream();
    assert.equal((await fresh.register(token)).hostId, web.welcome?.hostId);
    fresh.close();
    assert.equal((await plane.returned(fresh)).welcome?.hostId, web.welcome?.hostId);
    await assert.rejects(plane.stream().register(token), { reason: "UNAUTHENTICATED" });

    const late = await tokenFor(plane, "db");
    await plane.client(HostService).deleteHost({ host: "db" });
    await assert.rejects(plane.stream().register(late), { reason: "UNAUTHENTICATED" });
  });
});

describe("a banned engine", () => {
  it("E13 S22 stays away whatever the token, is told why, and comes back when the ban is lifted", async () => {
    await using plane = await testControlPlane();
    const hosts = plane.client(HostService);
    const agent = await plane.enrolled({ displayName: "web" });
    const { engineId } = agent.identity;
    await hosts.deleteHost({ host: "web", ban: true });
    assert.equal((await agent.ended).reason, "AGENT_REVOKED");
    await assert.rejects(plane.returned(agent), { reason: "UNAUTHENTICATED" });

    const token = await plane.controlPlane.createToken("test");
    const again = () => plane.stream(rawIdentity(engineId));
    await assert.rejects(again().register(token), { reason: "ENGINE_BANNED", message: /let it in/ });
    const clone = { displayName: "web", uniqueByName: true };
    await assert.rejects(again().register(token, {}, clone), { reason: "ENGINE_BANNED" });
    // Without a good token nobody learns of the ban.
    await assert.rejects(again().register("fl1.none.wrong"), { reason: "UNAUTHENTICATED" });
    const refused = await eventually(async () => {
      const events = await eventsOf(plane, EventType.ENROLMENT_REFUSED);
      return events.filter(({ attributes }) => attributes["cause"] === "ENGINE_BANNED").length === 2
        ? events
        : undefined;
    }, "both refusals");
    assert.equal(refused[0]?.attributes["engine_id"], engineId);

    await plane.restart();
    const { engineBans } = await plane.client(HostService).listEngineBans({});
    assert.deepEqual(
      engineBans.map((ban) => [ban.engineId, ban.hostName, ban.bannedBy]),
      [[engineId, "web", "admin"]],
    );
    await plane.client(HostService).liftEngineBan({ engineId });
    await again().register(token);
    await assert.rejects(plane.client(HostService).liftEngineBan({ engineId }), /not banned/);
    assert.equal((await eventsOf(plane, EventType.ENGINE_BANNED)).length, 1);
    assert.equal((await eventsOf(plane, EventType.ENGINE_BAN_LIFTED)).length, 1);
  });
});
