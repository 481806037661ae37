import assert from "node:assert/strict";
import { parseApiKey } from "../../../src/domain/api-key.ts";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { RegistrationTokenService } from "../../../src/gen/fairlead/registration/v1/registration_token_service_pb.js";
import { RegistrationTokenState } from "../../../src/gen/fairlead/registration/v1/registration_token_pb.js";
import { testControlPlane, type TestControlPlane } from "../../support/control-plane-harness.ts";
import { rejection } from "../../support/dispatching.ts";
import { rawIdentity } from "../../support/raw-agent.ts";
import { recordedEvent, recordedEvents } from "../../support/recorded-events.ts";
import { ManualClock } from "../events/manual-clock.ts";

const minuteMs = 60_000;

async function newToken(
  plane: TestControlPlane,
  wanted: { lifetimeSeconds?: number; maxUses?: number } = {},
) {
  const { lifetimeSeconds, maxUses = 0 } = wanted;
  const { registrationToken, token } = await plane.client(RegistrationTokenService).createRegistrationToken({
    maxUses,
    ...(lifetimeSeconds === undefined ? {} : { lifetime: { seconds: BigInt(lifetimeSeconds), nanos: 0 } }),
  });
  assert.ok(registrationToken);
  return { id: registrationToken.id, registrationToken, token };
}

// Moved by hand, but near the real time: certificates are looked at by both sides.
function clockOfToday(): ManualClock {
  return new ManualClock(Math.floor(Date.now() / 1_000) * 1_000);
}

describe("registration", () => {
  it("E01 a token lives 15 minutes and one use by default", async () => {
    const clock = clockOfToday();
    await using plane = await testControlPlane({ clock });
    const { token, registrationToken } = await newToken(plane);
    assert.equal(registrationToken.maxUses, 1);
    assert.equal(Number(registrationToken.expireTime?.seconds) * 1_000, clock.now() + 15 * minuteMs);

    const late = await newToken(plane);
    clock.advance(15 * minuteMs - 1);
    await plane.stream().register(token);
    await rejection(plane.stream().register(token), "UNAUTHENTICATED");
    clock.advance(1);
    await rejection(plane.stream().register(late.token), "UNAUTHENTICATED");
  });

  it("E01 both can be set when it is created", async () => {
    const clock = clockOfToday();
    await using plane = await testControlPlane({ clock });
    const { token } = await newToken(plane, { lifetimeSeconds: 3_600, maxUses: 3 });
    clock.advance(59 * minuteMs);
    for (let use = 0; use < 3; use += 1) await plane.stream().register(token);
    await rejection(plane.stream().register(token), "UNAUTHENTICATED");

    const brief = await newToken(plane, { lifetimeSeconds: 1 });
    clock.advance(1_000);
    await rejection(plane.stream().register(brief.token), "UNAUTHENTICATED");
  });

  it("E02 every token that is no good gets the same answer, byte for byte; the events and the log tell them apart", async () => {
    const clock = clockOfToday();
    await using plane = await testControlPlane({ clock });
    const expired = await newToken(plane, { lifetimeSeconds: 1 });
    clock.advance(1_000);
    const usedUp = await newToken(plane);
    await plane.stream().register(usedUp.token);
    const revoked = await newToken(plane);
    await plane.client(RegistrationTokenService).revokeRegistrationToken({ id: revoked.id });
    const causes = {
      EXPIRED: expired.token,
      USED_UP: usedUp.token,
      REVOKED: revoked.token,
      UNKNOWN: `fl1.none.${"A".repeat(43)}`,
      MALFORMED: "fl1.none.short",
    };
    const answers = new Set<string>();
    for (const [cause, token] of Object.entries(causes)) {
      const agent = plane.stream();
      await rejection(agent.register(token), "UNAUTHENTICATED");
      const { code, details, metadata } = await agent.status;
      assert.equal(code, 16);
      const packed = metadata.get("grpc-status-details-bin").map((value) => value.toString("base64"));
      answers.add(JSON.stringify([details, packed, Object.keys(metadata.getMap()).toSorted()]));
      await recordedEvent(
        plane,
        EventType.ENROLMENT_REFUSED,
        ({ attributes }) => attributes["cause"] === cause && attributes["hostname"] === "raw-host",
      );
      assert.ok(
        plane.logLines.some((line) => line.includes('"UNAUTHENTICATED"') && line.includes(`"${cause}"`)),
        `the log does not say ${cause}`,
      );
    }
    assert.equal(answers.size, 1, [...answers].join("\n"));
    assert.equal((await recordedEvents(plane, EventType.ENROLMENT_REFUSED)).length, 5);
  });

  it("E03 of 50 agents that present one single-use token at the same instant exactly one is enrolled", async () => {
    await using plane = await testControlPlane();
    const { token } = await newToken(plane);
    const agents = Array.from({ length: 50 }, () => plane.stream());
    const challenges = await Promise.all(agents.map((agent) => agent.challenge()));
    for (const [index, agent] of agents.entries()) {
      const registration = { token, publicKey: agent.identity.publicKey };
      const hello = agent.hello({ case: "registration", value: registration as never });
      agent.sendHello(hello, challenges[index]?.nonce ?? new Uint8Array(32));
    }
    const outcomes = await Promise.allSettled(agents.map((agent) => agent.welcomed()));
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    for (const { reason } of refused) assert.equal(reason.reason, "UNAUTHENTICATED");
    const { hosts } = await plane.client(HostService).listHosts({});
    assert.equal(hosts.length, 1);
    assert.equal((await recordedEvents(plane, EventType.TOKEN_USED)).length, 1);
    assert.equal((await recordedEvents(plane, EventType.HOST_ENROLLED)).length, 1);
  });

  it("E11 a second host with a known engine id is refused with advice, and the token is not used up", async () => {
    await using plane = await testControlPlane();
    const first = await plane.enrolled();
    const { token } = await newToken(plane);
    const error = await rejection(
      plane.stream(rawIdentity(first.identity.engineId)).register(token),
      "ENGINE_ALREADY_ENROLLED",
    );
    assert.match(error.message, /as host raw-host/);
    assert.match(error.message, /hosts rm raw-host/);
    assert.match(error.message, /--unique-by-name/);
    assert.equal(error.metadata["host_name"], "raw-host");
    const refused = await recordedEvent(plane, EventType.ENROLMENT_REFUSED);
    assert.equal(refused.attributes["cause"], "ENGINE_KNOWN");
    assert.equal(refused.hostName, "raw-host");
    await plane.stream().register(token);
  });

  it("E11 unique_by_name allows clones of a disk image, and then needs a name that is free", async () => {
    await using plane = await testControlPlane();
    const { engineId } = (await plane.enrolled()).identity;
    const { token } = await newToken(plane);
    const clone = (displayName: string) =>
      plane.stream(rawIdentity(engineId)).register(token, {}, { uniqueByName: true, displayName });
    assert.match((await rejection(clone(""), "HOST_NAME_REQUIRED")).message, /--name/);
    const taken = await rejection(clone("raw-host"), "HOST_NAME_IN_USE");
    assert.equal(taken.metadata["host_name"], "raw-host");
    assert.doesNotMatch(taken.message, /engine/);
    assert.equal((await clone("clone-1")).hostName, "clone-1");
  });

  it("E11 what is missing is told only to whoever has a good token", async () => {
    await using plane = await testControlPlane();
    const token = `fl1.none.${"A".repeat(43)}`;
    await rejection(plane.stream().register(token, {}, { uniqueByName: true }), "UNAUTHENTICATED");
  });

  it("E12 two hosts with one host name are both enrolled under distinct names", async () => {
    await using plane = await testControlPlane();
    const names: (string | undefined)[] = [];
    for (let host = 0; host < 3; host += 1) names.push((await plane.enrolled()).welcome?.hostName);
    names.push((await plane.enrolled({ displayName: "raw-host" })).welcome?.hostName);
    assert.deepEqual(names, ["raw-host", "raw-host-2", "raw-host-3", "raw-host-4"]);
    const { hosts } = await plane.client(HostService).listHosts({});
    assert.deepEqual(
      hosts.map(({ name }) => name),
      names,
    );
  });

  it("E13 E14 a deleted host loses its session at once, cannot come back, and can be enrolled again", async () => {
    await using plane = await testControlPlane();
    const agent = await plane.enrolled();
    await plane.client(HostService).deleteHost({ host: agent.welcome?.hostId ?? "" });
    const ended = await agent.ended;
    assert.equal(ended.reason, "AGENT_REVOKED");
    assert.equal((await agent.status).code, 7);
    await rejection(plane.returned(agent), "UNAUTHENTICATED");
    const { token } = await newToken(plane);
    const again = plane.stream(rawIdentity(agent.identity.engineId));
    const welcome = await again.register(token);
    assert.equal(welcome.hostName, "raw-host");
    assert.notEqual(welcome.hostId, agent.welcome?.hostId);
  });

  it("E17 tokens are listed without their secret, with what became of them", async () => {
    await using plane = await testControlPlane();
    const used = await newToken(plane);
    await plane.stream().register(used.token);
    const fresh = await newToken(plane);
    const service = plane.client(RegistrationTokenService);
    const { registrationTokens } = await service.listRegistrationTokens({});
    assert.deepEqual(
      registrationTokens.map(({ id, state, useCount }) => ({ id, state, useCount })),
      [
        { id: fresh.id, state: RegistrationTokenState.ACTIVE, useCount: 0 },
        { id: used.id, state: RegistrationTokenState.USED_UP, useCount: 1 },
      ],
    );
    for (const { token } of [used, fresh]) {
      const secret = token.split(".")[2] ?? "";
      assert.ok(!JSON.stringify(registrationTokens, (_, value) => `${value}`).includes(secret));
    }
  });

  it("E17 a token that was revoked before its use is of no use", async () => {
    await using plane = await testControlPlane();
    const { id, token } = await newToken(plane);
    const service = plane.client(RegistrationTokenService);
    await service.revokeRegistrationToken({ id });
    const again = await service.revokeRegistrationToken({ id });
    assert.equal(again.registrationToken?.state, RegistrationTokenState.REVOKED);
    await rejection(plane.stream().register(token), "UNAUTHENTICATED");
    assert.equal((await recordedEvents(plane, EventType.TOKEN_REVOKED)).length, 1);
  });

  it("E18 who created a token, when, from where, and who used it are events", async () => {
    await using plane = await testControlPlane();
    const before = Date.now();
    const { id, token } = await newToken(plane, { maxUses: 2 });
    const agent = plane.stream();
    const welcome = await agent.register(token);
    const created = await recordedEvent(plane, EventType.TOKEN_CREATED);
    assert.equal(created.actor, "admin");
    assert.equal(created.attributes["token_id"], id);
    assert.equal(created.attributes["max_uses"], "2");
    assert.match(created.attributes["address"] ?? "", /127\.0\.0\.1/);
    assert.equal(created.attributes["key_id"], parseApiKey(plane.adminKey ?? "")?.id);
    assert.ok(created.eventTime >= before && created.eventTime <= Date.now());
    const used = await recordedEvent(plane, EventType.TOKEN_USED);
    assert.equal(used.hostId, welcome.hostId);
    assert.equal(used.attributes["token_id"], id);
    assert.equal(used.attributes["use_count"], "1");
    assert.match(used.attributes["address"] ?? "", /127\.0\.0\.1/);
    assert.equal(used.attributes["hostname"], "raw-host");
    const enrolled = await recordedEvent(plane, EventType.HOST_ENROLLED);
    assert.equal(enrolled.attributes["engine_id"], agent.identity.engineId);
    await plane.client(RegistrationTokenService).revokeRegistrationToken({ id });
    const revoked = await recordedEvent(plane, EventType.TOKEN_REVOKED);
    assert.equal(revoked.actor, "admin");
  });
});
