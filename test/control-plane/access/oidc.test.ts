import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { base64url, SignJWT, UnsecuredJWT } from "jose";
import { Expiries } from "../../../src/control-plane/access/credential.ts";
import { OidcVerifier } from "../../../src/control-plane/access/oidc.ts";
import { ContainerService } from "../../../src/gen/fairlead/container/v1/container_service_pb.js";
import { EventType } from "../../../src/gen/fairlead/event/v1/event_pb.js";
import { EventService } from "../../../src/gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { RegistrationTokenService } from "../../../src/gen/fairlead/registration/v1/registration_token_service_pb.js";
import { type Clock, systemClock } from "../../../src/resilience/clock.ts";
import { fleetErrorFrom } from "../../../src/rpc/connect-error.ts";
import { silentLogger } from "../../support/silent-logger.ts";
import { failureOf } from "../services/services-harness.ts";
import { guardedControlPlane } from "./guarded-control-plane.ts";
import { OidcIssuer } from "./oidc-issuer.ts";

/** A control plane that takes an issuer's tokens. */
async function trusting(issuer: OidcIssuer, rolesClaim?: string) {
  const oidc = {
    issuer: issuer.url,
    audience: "fairlead",
    ...(rolesClaim === undefined ? {} : { rolesClaim }),
  };
  return guardedControlPlane({ oidc });
}

function verifierOf({ url }: OidcIssuer, clock: Clock): OidcVerifier {
  const expiries = new Expiries(clock);
  return new OidcVerifier({ issuer: url, audience: "fairlead", expiries, clock, logger: silentLogger });
}

/** What a call ends with. */
const endOf = (call: Promise<unknown>) =>
  call.then(
    () => "OK",
    (error: unknown) => fleetErrorFrom(error).reason,
  );

/** A claim inside of another. */
const claim = (roles: unknown) => ({ realm_access: { roles } });

describe("tokens of an OpenID Connect issuer", function () {
  this.timeout(30_000);

  it("V04 let in whom the issuer knows, in the name of their subject, beside API keys", async () => {
    await using issuer = await OidcIssuer.start();
    await using api = await trusting(issuer);
    const token = await issuer.token({ roles: "openid fairlead:admin" });
    await api.client(RegistrationTokenService, token).createRegistrationToken({});
    await api.client(HostService, api.adminKey).listHosts({});
    const [created] = await api.plane.controlPlane.events.list({ types: [EventType.TOKEN_CREATED] }, 0, 1);
    assert.deepEqual(
      [created?.actor, created?.attributes["address"], created?.attributes["key_id"]],
      ["oidc:ann", "127.0.0.1", undefined],
    );
    assert.ok(!api.plane.logLines.join("").includes(token.slice(-43)));
  });

  it("V05 give the highest role that their claim names, and none without one", async () => {
    await using issuer = await OidcIssuer.start();
    await using api = await trusting(issuer, "realm_access.roles");
    const rolesOf = async (claims: Record<string, unknown>) => {
      const token = await issuer.token({ roles: ["fairlead:admin"], ...claims });
      const ends = await Promise.all([
        endOf(api.client(HostService, token).listHosts({})),
        endOf(api.client(ContainerService, token).stopContainer({ container: "none" })),
        endOf(api.client(RegistrationTokenService, token).listRegistrationTokens({})),
      ]);
      return ends.filter((end) => end !== "PERMISSION_DENIED").length;
    };
    assert.equal(await rolesOf({}), 0);
    assert.equal(await rolesOf(claim("admin")), 0);
    assert.equal(await rolesOf(claim(["fairlead:owner", 7, null])), 0);
    assert.equal(await rolesOf(claim("fairlead:viewer")), 1);
    assert.equal(await rolesOf(claim(["x", "fairlead:viewer", "fairlead:operator"])), 2);
    assert.equal(await rolesOf({ "realm_access.roles": ["fairlead:admin"] }), 3);
  });

  it("V04 are refused when they are expired, for others, by others, unsigned, or signed with what everybody knows", async () => {
    await using issuer = await OidcIssuer.start();
    await using stranger = await OidcIssuer.start();
    await using api = await trusting(issuer);
    const now = Math.floor(Date.now() / 1_000);
    const claims = { iss: issuer.url, aud: "fairlead", sub: "ann", exp: now + 60, roles: ["fairlead:admin"] };
    const knownToAll = new TextEncoder().encode(JSON.stringify(issuer.publicKey));
    const good = await issuer.token();
    const [head, , signature] = good.split(".");
    const other = base64url.encode(JSON.stringify({ ...claims, sub: "eve" }));
    for (const token of [
      await issuer.token({ exp: now - 31 }),
      await issuer.token({}, ["exp"]),
      await issuer.token({}, ["sub"]),
      await issuer.token({ nbf: now + 100 }),
      await issuer.token({ aud: "another" }),
      await issuer.token({ iss: stranger.url }),
      await stranger.token({ iss: issuer.url }),
      new UnsecuredJWT(claims).encode(),
      await new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "first" }).sign(knownToAll),
      `${head}.${other}.${signature}`,
      "no.token.atall",
    ]) {
      assert.equal((await failureOf(api.client(HostService, token).listHosts({}))).reason, "UNAUTHENTICATED");
    }
    await api.client(HostService, await issuer.token({ exp: now - 5 })).listHosts({});
    await api.client(HostService, good).listHosts({});
  });

  it("cost the issuer nothing: its keys are fetched once, and are used again", async () => {
    await using issuer = await OidcIssuer.start();
    await using api = await trusting(issuer);
    for (const sub of ["ann", "bob", "ann"]) {
      await api.client(HostService, await issuer.token({ sub })).listHosts({});
    }
    assert.equal(issuer.fetches, 1);
  });

  it("V04 end their streams when their time is over", async () => {
    await using issuer = await OidcIssuer.start();
    await using api = await trusting(issuer);
    // Clocks may differ by 30 s, which is granted to every token.
    const token = await issuer.token({ exp: Math.floor(Date.now() / 1_000) - 28 });
    const stream = api.client(EventService, token).watchEvents({})[Symbol.asyncIterator]();
    await stream.next();
    const end = failureOf(
      (async () => {
        for (let item = await stream.next(); item.done !== true; item = await stream.next());
      })(),
    ).then(({ reason }) => reason);
    assert.equal(await Promise.race([end, delay(6_000, "late")]), "UNAUTHENTICATED");
  });

  it("V04 that were good are looked at anew after a while, and are good for nothing after their time", async () => {
    await using issuer = await OidcIssuer.start();
    let aheadMs = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
    const verifier = verifierOf(issuer, clock);
    const token = await issuer.token();
    assert.equal((await verifier.verify(token)).kind, "good");
    assert.equal(verifier.verifyKnown(token)?.kind, "good");
    aheadMs = 400_000;
    assert.equal(verifier.verifyKnown(token), undefined);
    assert.equal((await verifier.verify(token)).kind, "good");
    aheadMs = 631_000;
    assert.equal(verifier.verifyKnown(token), undefined);
    assert.deepEqual(await verifier.verify(token), { kind: "refused", cause: "EXPIRED" });
  });

  it("V04 are not verified by the keys of an issuer that says to be another one", async () => {
    await using issuer = await OidcIssuer.start();
    issuer.alias = "https://another.example";
    await assert.rejects(verifierOf(issuer, systemClock).verify(await issuer.token()), {
      reason: "SERVER_UNREACHABLE",
    });
  });

  it("are not taken for wrong while the issuer is silent", async () => {
    const issuer = await OidcIssuer.start();
    const token = await issuer.token();
    await using api = await trusting(issuer);
    await issuer[Symbol.asyncDispose]();
    assert.equal(
      (await failureOf(api.client(HostService, token).listHosts({}))).reason,
      "SERVER_UNREACHABLE",
    );
    await api.client(HostService).listHosts({});
  });

  it("are taken from an https issuer alone, or from this machine", () => {
    const expiries = new Expiries(systemClock);
    const parts = { audience: "fairlead", expiries, clock: systemClock, logger: silentLogger };
    for (const issuer of ["http://issuer.example", "issuer.example", "ftp://127.0.0.1"]) {
      assert.throws(() => new OidcVerifier({ ...parts, issuer }), /is not an https URL/);
    }
    for (const issuer of ["https://issuer.example", "http://localhost:1", "http://[::1]:1"]) {
      assert.ok(new OidcVerifier({ ...parts, issuer }));
    }
  });
});
