import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { credentials } from "@grpc/grpc-js";
import { examineAgent } from "../../src/agent/agent.ts";
import type { Diagnosis } from "../../src/agent/doctor/diagnosis.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { certificateRequest } from "../../src/agent/identity/certificate-request.ts";
import { IdentityFile } from "../../src/agent/identity/identity-file.ts";
import { CertificateAuthority } from "../../src/control-plane/certificates/certificate-authority.ts";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { certificatesIn } from "../../src/rpc/public-key-digest.ts";
import { sleepingSpec } from "../support/agent-harness.ts";
import { eventually } from "../support/control-plane-harness.ts";
import { forgeryOf } from "../support/forged-certificate.ts";
import { RawAgent, type RawIdentity } from "../support/raw-agent.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { TlsFleet } from "../support/tls-fleet.ts";

const dayMs = 24 * 60 * 60_000;

/** The machine's clock, so many milliseconds ahead. */
function clockAhead(ms: number) {
  return { ...systemClock, now: () => systemClock.now() + ms };
}

interface Shown {
  readonly certificate: string;
  readonly privateKey: string;
}

/** What an agent shows in its TLS handshakes. */
async function shownBy(fleet: TlsFleet, name: string): Promise<Shown> {
  const text = await readFile(join(fleet.agentFolder(name), "tls.pem"), "utf8");
  return { certificate: certificatesIn(text)[0] ?? assert.fail("no certificate"), privateKey: text };
}

async function serialOf(fleet: TlsFleet, name: string): Promise<string> {
  return new X509Certificate((await shownBy(fleet, name)).certificate).serialNumber;
}

/** The same agent in the hands of the test, showing what it is given. */
async function handOf(fleet: TlsFleet, name: string, shown?: Shown): Promise<RawAgent> {
  const folder = fleet.agentFolder(name);
  const { agentId, privateKey } = JSON.parse(await readFile(join(folder, "agent.json"), "utf8"));
  const { key } = await IdentityFile.open(folder, silentLogger);
  const identity: RawIdentity = {
    agentId,
    privateKey: createPrivateKey(privateKey),
    publicKey: key.publicKey,
    engineId: name,
    journalId: randomBytes(16),
  };
  const context = createSecureContext({
    ca: fleet.plane.authorityCertificate,
    ...(shown && { cert: shown.certificate, key: shown.privateKey }),
  });
  const security = credentials.createFromSecureContext(context);
  return new RawAgent(fleet.plane.agentsAddress.port, identity, security);
}

/** Why a reconnection is refused; undefined: it is welcome. */
async function refusal(fleet: TlsFleet, name: string, shown?: Shown): Promise<string | undefined> {
  const agent = await handOf(fleet, name, shown);
  try {
    await agent.reconnect();
    return undefined;
  } catch (error) {
    const { reason, metadata } = error as { reason: string; metadata: Record<string, string> };
    return [reason, metadata["cause"]].join(" ").trim();
  } finally {
    agent.close();
  }
}

/** A certificate for an agent's id by an authority. */
async function issuedBy(authority: CertificateAuthority, agentId: string): Promise<Shown> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certificate = await authority.issueAgent(certificateRequest(privateKey), agentId);
  return { certificate, privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

async function agentIdOf(fleet: TlsFleet, name: string): Promise<string> {
  return JSON.parse(await readFile(join(fleet.agentFolder(name), "agent.json"), "utf8")).agentId;
}

/** The control plane's own authority in the hands of the test. */
async function ownAuthority(fleet: TlsFleet): Promise<CertificateAuthority> {
  const file = (name: string) => readFile(join(fleet.folder, "data", "tls", name), "utf8");
  return CertificateAuthority.from(
    { certificate: await file("ca.crt"), privateKey: await file("ca.key") },
    systemClock,
  );
}

describe("mutual TLS for agents", function () {
  this.timeout(20_000);
  this.slow(3_000);

  it("E06 an agent gets a certificate with its enrolment, for a key that was made on its host, and comes back with it", async () => {
    await using fleet = await TlsFleet.start({ agentMtls: "require" });
    const agent = await fleet.enrol("host");
    await agent.close();
    const { certificate } = await shownBy(fleet, "host");
    const shown = new X509Certificate(certificate);
    assert.equal(shown.subject, `CN=${agent.agentId()}`);
    assert.deepEqual([shown.ca, shown.keyUsage], [false, ["1.3.6.1.5.5.7.3.2"]]);
    assert.ok(shown.verify(new X509Certificate(fleet.plane.authorityCertificate ?? "").publicKey));
    assert.equal((await stat(join(fleet.agentFolder("host"), "tls.pem"))).mode & 0o777, 0o600);
    const again = await fleet.agent("host");
    await again.ready;
    assert.equal(again.agentId(), agent.agentId());
    const api = await fleet.client();
    const { host } = await api.hosts.getHost({ host: "host" });
    assert.equal(Number(host?.agentCertificateExpireTime?.seconds) * 1_000, shown.validToDate.getTime());
    const { events } = await api.events.listEvents({
      filter: { types: [EventType.AGENT_CERTIFICATE_ISSUED] },
    });
    assert.equal(events.length, 1);
  });

  it("E08 a reconnection without its own good certificate is refused although its signature is right, and an event says why", async () => {
    await using fleet = await TlsFleet.start({ agentMtls: "require" });
    for (const name of ["host", "other"]) await (await fleet.enrol(name)).close();
    const own = await shownBy(fleet, "host");
    const agentId = await agentIdOf(fleet, "host");
    const [stranger, authority] = [await CertificateAuthority.create(systemClock), await ownAuthority(fleet)];
    const old = await CertificateAuthority.from(authority.keyed, clockAhead(-31 * dayMs));
    const server = await authority.issueServer([agentId]);
    assert.equal(await refusal(fleet, "host", own), undefined);
    assert.equal(await refusal(fleet, "host", await issuedBy(authority, agentId)), undefined);
    const forged = await forgeryOf(new X509Certificate(own.certificate).raw);
    const refused: [Shown | undefined, string][] = [
      [undefined, "MISSING"],
      [await shownBy(fleet, "other"), "OTHER_AGENT"],
      [await issuedBy(stranger, agentId), "UNTRUSTED"],
      [{ ...own, certificate: new X509Certificate(forged).toString() }, "UNTRUSTED"],
      [{ ...server, certificate: certificatesIn(server.certificate)[0] ?? "" }, "UNTRUSTED"],
      [await issuedBy(old, agentId), "EXPIRED"],
    ];
    for (const [shown, cause] of refused) {
      assert.equal(await refusal(fleet, "host", shown), `CERTIFICATE_REQUIRED ${cause}`);
    }
    const { events } = await (await fleet.client()).events.listEvents({
      filter: { types: [EventType.RECONNECTION_REFUSED] },
    });
    assert.deepEqual(
      events.map(({ attributes }) => attributes["cause"]),
      refused.map(([, cause]) => `CERTIFICATE_${cause}`),
    );
    // Nothing is told to whoever has the certificate alone.
    const thief = await handOf(fleet, "host", own);
    thief.identity.privateKey = generateKeyPairSync("ed25519").privateKey;
    await assert.rejects(thief.reconnect(), { reason: "UNAUTHENTICATED" });
    thief.close();
  });

  it("E08 a certificate that ended while its agent was away is refused, and a token made for the host is the way back", async () => {
    await using fleet = await TlsFleet.start({ agentMtls: "require", clock: clockAhead(-31 * dayMs) });
    await (await fleet.enrol("host")).close();
    const own = await shownBy(fleet, "host");
    assert.equal(await refusal(fleet, "host", own), undefined);
    await fleet.restart({ clock: clockAhead(-2 * dayMs) });
    assert.equal(await refusal(fleet, "host", own), undefined);
    await fleet.restart({ clock: systemClock });
    assert.equal(await refusal(fleet, "host", own), "CERTIFICATE_REQUIRED EXPIRED");
    const api = await fleet.client();
    const { hosts } = await api.hosts.listHosts({});
    const { token } = await api.registrationTokens.createRegistrationToken({ host: hosts[0]?.id ?? "" });
    await rm(join(fleet.agentFolder("host"), "agent.json"));
    await (await fleet.agent("host", { token })).ready;
    assert.equal((await api.hosts.listHosts({})).hosts[0]?.id, hosts[0]?.id);
    assert.notEqual(await serialOf(fleet, "host"), new X509Certificate(own.certificate).serialNumber);
  });

  it("E06 is renewed when half of its life is over, and neither before nor without being asked for", async () => {
    await using fleet = await TlsFleet.start({ agentMtls: "require" });
    await (await fleet.enrol("host")).close();
    const first = await serialOf(fleet, "host");
    const early = await fleet.agent("host", { clock: clockAhead(14 * dayMs) });
    await early.ready;
    await (await fleet.client()).hosts.rotateAgentKey({ host: "host" });
    await early.close();
    assert.equal(await serialOf(fleet, "host"), first);
    const late = await fleet.agent("host", { clock: clockAhead(24.1 * dayMs), random: () => 0.99 });
    await late.ready;
    await eventually(async () => (await serialOf(fleet, "host")) !== first, "another certificate is there");
    await late.close();
    assert.equal(await refusal(fleet, "host", await shownBy(fleet, "host")), undefined);
  });

  it("E06 is renewed for a new authority while a command runs, which is not disturbed, and retiring waits for it", async () => {
    await using fleet = await TlsFleet.start({ agentMtls: "require" });
    const engine = new SimulatedEngine({ clock: systemClock, engineId: "host", latencyMs: 400 });
    const agent = await fleet.enrol("host", { engine });
    // Within the hour, but not at its beginning.
    const slow = await fleet.enrol("slow", { random: () => 0.99 });
    const { authority, containers, hosts } = await fleet.client();
    const first = await shownBy(fleet, "host");
    const epoch = (await hosts.getHost({ host: "host" })).host?.sessionEpoch;
    await authority.rotateAuthority({});
    await eventually(
      async () => (await authority.getAuthority({})).authority?.informedHostCount === 2,
      "both are told",
    );
    const running = containers.createContainer({ host: "host", spec: sleepingSpec() });
    await authority.switchAuthority({});
    await eventually(
      async () => (await shownBy(fleet, "host")).certificate !== first.certificate,
      "a certificate of the successor is there",
    );
    assert.ok((await running).container?.id);
    assert.equal((await hosts.getHost({ host: "host" })).host?.sessionEpoch, epoch);
    const next = await shownBy(fleet, "host");
    assert.ok(
      new X509Certificate(next.certificate).verify(
        new X509Certificate(fleet.plane.authorityCertificate ?? "").publicKey,
      ),
    );
    await assert.rejects(authority.retireAuthority({}), /: hosts are not ready .*: slow;/);
    await Promise.all([agent.close(), slow.close()]);
    // Both are good until the first authority is retired.
    for (const shown of [first, next]) assert.equal(await refusal(fleet, "host", shown), undefined);
    await (await fleet.agent("slow")).ready;
    await (await fleet.agent("host", { engine })).ready;
    await eventually(async () => {
      const { authority: now } = await authority.getAuthority({});
      return now?.informedHostCount === 2;
    }, "both have all that they need");
    await authority.retireAuthority({});
    assert.equal(await refusal(fleet, "host", first), "CERTIFICATE_REQUIRED UNTRUSTED");
    assert.equal(await refusal(fleet, "host", next), undefined);
    await engine.close();
  });

  it("E08 agents that were enrolled before are offered certificates first, and need them once they are required", async () => {
    await using fleet = await TlsFleet.start({});
    const [host, absent] = [await fleet.enrol("host"), await fleet.enrol("absent")];
    await Promise.all([host.close(), absent.close()]);
    await assert.rejects(stat(join(fleet.agentFolder("host"), "tls.pem")));
    await fleet.restart({ agentMtls: "offer" });
    const offered = await fleet.agent("host");
    await offered.ready;
    await eventually(() => serialOf(fleet, "host").catch(() => undefined), "a certificate is there");
    assert.equal(await refusal(fleet, "absent"), undefined);
    await offered.close();
    await fleet.restart({ agentMtls: "require" });
    await (await fleet.agent("host")).ready;
    assert.equal(await refusal(fleet, "absent"), "CERTIFICATE_REQUIRED MISSING");
  });

  it("E08 certificates come from the control plane's own authority also where its listener has the operator's certificate", async () => {
    const operator = await CertificateAuthority.create(systemClock);
    await using fleet = await TlsFleet.start({});
    const { certificate, privateKey } = await operator.issueServer(["127.0.0.1"]);
    const files = { certificate: join(fleet.folder, "tls.crt"), privateKey: join(fleet.folder, "tls.key") };
    await Promise.all([writeFile(files.certificate, certificate), writeFile(files.privateKey, privateKey)]);
    await fleet.restart({ tls: { kind: "files", ...files }, agentMtls: "require" });
    await (await fleet.enrol("host")).close();
    await (await fleet.agent("host")).ready;
    const shown = new X509Certificate((await shownBy(fleet, "host")).certificate);
    assert.equal(shown.verify(new X509Certificate(operator.certificate).publicKey), false);
    assert.equal(await refusal(fleet, "host"), "CERTIFICATE_REQUIRED MISSING");
  });

  it("V07 an authority that signs agents alone is replaced like the server's, and whoever has no certificate of its successor is waited for", async () => {
    const operator = await CertificateAuthority.create(systemClock);
    await using fleet = await TlsFleet.start({});
    const { certificate, privateKey } = await operator.issueServer(["127.0.0.1", "localhost"]);
    const files = { certificate: join(fleet.folder, "tls.crt"), privateKey: join(fleet.folder, "tls.key") };
    await writeFile(files.certificate, `${certificate}${operator.certificate}`);
    await writeFile(files.privateKey, privateKey);
    const config = { tls: { kind: "files", ...files }, agentMtls: "require" } as const;
    await fleet.restart(config);
    const agent = await fleet.enrol("host");
    const away = await fleet.enrol("away");
    await away.close();
    const first = await shownBy(fleet, "host");
    const { authority } = await fleet.client();
    await authority.rotateAuthority({});
    await authority.switchAuthority({});
    await eventually(
      async () => (await shownBy(fleet, "host")).certificate !== first.certificate,
      "a certificate of the successor is there",
    );
    await assert.rejects(authority.retireAuthority({}), /: hosts are not ready .*: away;/);
    await agent.close();
    await fleet.restart(config);
    await (await fleet.agent("host")).ready;
    await (await fleet.agent("away")).ready;
    const { authority: later } = await fleet.client();
    const count = async () => (await later.getAuthority({})).authority?.informedHostCount;
    await eventually(async () => (await count()) === 2, "both have one of the successor");
    await later.retireAuthority({});
    assert.equal(await refusal(fleet, "host", first), "CERTIFICATE_REQUIRED UNTRUSTED");
    assert.equal(await refusal(fleet, "host", await shownBy(fleet, "host")), undefined);
  });

  it("E07 an enrolment that asks for none, and a request that is none, do not get in where one is required", async () => {
    await using fleet = await TlsFleet.start({ agentMtls: "require" });
    await (await fleet.enrol("host")).close();
    const token = await fleet.plane.createToken("raw");
    const without = await handOf(fleet, "host");
    without.identity.engineId = "another";
    await assert.rejects(without.register(token), { reason: "CERTIFICATE_REQUIRED" });
    without.close();
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const signedByOther = Buffer.from(
      certificateRequest(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey),
    );
    signedByOther[signedByOther.length - 1] = (signedByOther.at(-1) ?? 0) ^ 1;
    const authority = await ownAuthority(fleet);
    for (const request of [
      certificateRequest(privateKey),
      signedByOther,
      randomBytes(100),
      new Uint8Array(0),
    ]) {
      await assert.rejects(authority.issueAgent(request, "agent"), { reason: "INVALID_ARGUMENT" });
    }
  });

  it("V09 an agent that asks for certificates again and again is given one, and keeps its session", async () => {
    await using fleet = await TlsFleet.start({ agentMtls: "require" });
    await (await fleet.enrol("host")).close();
    const agent = await handOf(fleet, "host", await shownBy(fleet, "host"));
    await agent.reconnect();
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const request = certificateRequest(privateKey);
    for (let count = 0; count < 20; count += 1) agent.send({ certificateRequest: { request } });
    agent.send({ certificateRequest: { request: new Uint8Array(5_000) } });
    const { certificate } = await agent.frame((frame) => frame.certificate.length > 0);
    assert.ok(new X509Certificate(certificate).checkPrivateKey(privateKey));
    const api = await fleet.client();
    const eventsOf = async (type: EventType) =>
      (await api.events.listEvents({ filter: { types: [type] } })).events;
    await eventually(
      async () => (await eventsOf(EventType.ITEM_REFUSED)).length === 1,
      "the last item was read",
    );
    assert.equal((await eventsOf(EventType.AGENT_CERTIFICATE_ISSUED)).length, 2);
    assert.equal((await api.hosts.getHost({ host: "host" })).host?.online, true);
    agent.close();
  });

  it("E16 the doctor says whether this host has the certificate that it needs", async () => {
    await using fleet = await TlsFleet.start({ agentMtls: "require" });
    await (await fleet.enrol("host")).close();
    const engine = new SimulatedEngine({ clock: systemClock, engineId: "host" });
    const look = async (clock = systemClock) => {
      const options = {
        server: `127.0.0.1:${fleet.plane.agentsAddress.port}`,
        dataDir: fleet.agentFolder("host"),
        engine,
        logger: silentLogger,
        clock,
      };
      const found: Diagnosis[] = [];
      for await (const diagnosis of examineAgent(options, new AbortController().signal)) {
        found.push(diagnosis);
      }
      return found.find(({ stage }) => stage === "certificate") ?? assert.fail("no such stage");
    };
    assert.equal((await look()).verdict, "good");
    const late = await look(clockAhead(31 * dayMs));
    assert.deepEqual([late.verdict, /token create --host/.test(late.advice ?? "")], ["bad", true]);
    await rm(join(fleet.agentFolder("host"), "tls.pem"));
    assert.equal((await look()).verdict, "bad");
    await fleet.restart({ agentMtls: "offer" });
    assert.deepEqual([(await look()).verdict, /requires none/.test((await look()).detail)], ["good", true]);
    await engine.close();
  });
});
