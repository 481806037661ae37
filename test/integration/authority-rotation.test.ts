import assert from "node:assert/strict";
import { createHash, createPublicKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import { AuthorityState } from "../../src/gen/fairlead/authority/v1/authority_pb.js";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { certificatesIn } from "../../src/rpc/public-key-digest.ts";
import { fairleadAlone } from "../cli/command-line.ts";
import { eventually } from "../support/control-plane-harness.ts";
import { TlsFleet } from "../support/tls-fleet.ts";

const { STEADY, PREPARED, SWITCHED } = AuthorityState;

function digestOf(pem: string): string {
  const der = new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(der).digest("base64url");
}

/** The digests of whom an agent trusts. */
async function trustedBy(fleet: TlsFleet, name: string): Promise<string[]> {
  return certificatesIn(await readFile(join(fleet.agentFolder(name), "ca.pem"), "utf8")).map(digestOf);
}

/** Whether the agents' listener is trusted with these certificates alone, as an ordinary TLS client sees it. */
async function isTrustedWith(fleet: TlsFleet, ca: string): Promise<boolean> {
  const { host, port } = fleet.plane.agentsAddress;
  const socket = connect({ host, port, ca, ALPNProtocols: ["h2"] });
  try {
    await once(socket, "secureConnect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function authorityOf(fleet: TlsFleet) {
  const { authority } = await (await fleet.client()).authority.getAuthority({});
  return authority ?? assert.fail("there is no authority");
}

function untilInformed(fleet: TlsFleet, count: number) {
  return eventually(
    async () => (await authorityOf(fleet)).informedHostCount === count,
    `${count} hosts trust the newest authority`,
  );
}

describe("another authority", function () {
  this.timeout(20_000);
  this.slow(3_000);

  it("V07 takes the place of the first: who is online learns it before, who was away is let in by its signature, and both trust it alone at the end", async () => {
    await using fleet = await TlsFleet.start();
    const [online, away] = [await fleet.enrol("online"), await fleet.enrol("away")];
    await away.close();
    const first = (await authorityOf(fleet)).current?.digest ?? "";
    const { authority } = await fleet.client();

    const rotated = await authority.rotateAuthority({});
    assert.deepEqual([rotated.authority?.state, rotated.authority?.current?.digest], [PREPARED, first]);
    const second = rotated.authority?.successor?.digest ?? "";
    assert.notEqual(second, first);
    await untilInformed(fleet, 1);
    assert.deepEqual(await trustedBy(fleet, "online"), [first, second]);
    const again = await authority.rotateAuthority({});
    assert.equal(again.authority?.successor?.digest, second);
    assert.deepEqual(
      (await authority.listUninformedHosts({})).hosts.map(({ hostName, online: isOnline }) => [
        hostName,
        isOnline,
      ]),
      [["away", false]],
    );

    const epochs = async () =>
      (await (await fleet.client()).hosts.listHosts({})).hosts.map((host) => host.sessionEpoch);
    const before = await epochs();
    assert.equal((await authority.switchAuthority({})).authority?.state, SWITCHED);
    assert.deepEqual(await epochs(), before, "no session is disturbed");
    assert.equal(digestOf(fleet.plane.authorityCertificate ?? ""), second);
    assert.match(await fleet.plane.createToken("later"), new RegExp(`^fl1\\.${second}\\.`));

    await assert.rejects(authority.retireAuthority({}), { reason: "AUTHORITY_NOT_READY" });
    await (await fleet.agent("away")).ready;
    await untilInformed(fleet, 2);
    const fresh = await fleet.enrol("new");
    assert.equal((await authority.retireAuthority({})).authority?.state, STEADY);
    await eventually(async () => (await trustedBy(fleet, "away")).join() === second, "away trusts it alone");
    await eventually(
      async () => (await trustedBy(fleet, "online")).join() === second,
      "online trusts it alone",
    );

    await Promise.all([online.close(), fresh.close()]);
    for (const name of ["online", "new"]) await (await fleet.agent(name)).ready;
    const { events } = await (await fleet.client()).events.listEvents({
      filter: {
        types: [EventType.AUTHORITY_SUCCESSOR_MADE, EventType.AUTHORITY_ROTATED, EventType.AUTHORITY_RETIRED],
      },
    });
    assert.deepEqual(
      events.map(({ type, actor }) => [type, actor]),
      [EventType.AUTHORITY_SUCCESSOR_MADE, EventType.AUTHORITY_ROTATED, EventType.AUTHORITY_RETIRED].map(
        (type) => [type, "admin"],
      ),
    );
    assert.equal(events[1]?.attributes["previous_digest"], first);
  });

  it("V07 is trusted by whoever trusts the first until that is retired, and the first one's key is gone with the switch", async () => {
    await using fleet = await TlsFleet.start();
    const { authority } = await fleet.client();
    const old = fleet.plane.authorityCertificate ?? "";
    await authority.rotateAuthority({});
    const next = (await authorityOf(fleet)).successor?.certificate ?? "";
    assert.deepEqual([await isTrustedWith(fleet, old), await isTrustedWith(fleet, next)], [true, false]);
    await authority.switchAuthority({});
    assert.deepEqual([await isTrustedWith(fleet, old), await isTrustedWith(fleet, next)], [true, true]);
    const tls = join(fleet.folder, "data", "tls");
    const inForce = createPublicKey(await readFile(join(tls, "ca.key"), "utf8"));
    assert.ok(inForce.equals(new X509Certificate(next).publicKey));
    for (const name of await readdir(tls)) {
      const text = await readFile(join(tls, name), "utf8");
      if (text.includes("PRIVATE")) assert.equal(name, "ca.key");
      if (name !== "ca.crt") assert.equal((await stat(join(tls, name))).mode & 0o777, 0o600);
    }
    await fleet.restart();
    assert.deepEqual([await isTrustedWith(fleet, old), await isTrustedWith(fleet, next)], [true, true]);
    await (await fleet.client()).authority.retireAuthority({});
    assert.deepEqual([await isTrustedWith(fleet, old), await isTrustedWith(fleet, next)], [false, true]);
    await fleet.restart();
    assert.deepEqual([await isTrustedWith(fleet, old), await isTrustedWith(fleet, next)], [false, true]);
  });

  it("V07 a control plane that died amid the switch is on the other side of it after its start", async () => {
    await using fleet = await TlsFleet.start();
    const { authority } = await fleet.client();
    await authority.rotateAuthority({});
    const tls = join(fleet.folder, "data", "tls");
    const [crt, key] = [join(tls, "ca.crt"), join(tls, "ca.key")];
    const [oldCrt, oldKey] = [await readFile(crt, "utf8"), await readFile(key, "utf8")];
    const prepared = JSON.parse(await readFile(join(tls, "rotation.json"), "utf8"));
    await authority.switchAuthority({});
    const second = fleet.plane.authorityCertificate;
    const { successor: current, endorsement } = prepared;
    const switched = { state: "switched", previous: oldCrt, endorsement, current };
    for (const left of [
      { [crt]: oldCrt, [key]: oldKey },
      { [crt]: oldCrt, [key]: current.privateKey },
    ]) {
      await fleet.plane.close(0);
      await writeFile(join(tls, "rotation.json"), JSON.stringify(switched));
      for (const [path, text] of Object.entries(left)) await writeFile(path, text);
      await fleet.restart();
      assert.equal(fleet.plane.authorityCertificate, second);
      assert.ok(await isTrustedWith(fleet, oldCrt));
    }
  });

  it("V07 is not put in force, and the first not retired, before all have heard of it, unless that is forced", async () => {
    await using fleet = await TlsFleet.start();
    await fleet.enrol("deaf");
    const file = join(fleet.agentFolder("deaf"), "ca.pem");
    // It cannot write down what it is told, and so does not say that it has.
    await rm(file);
    await mkdir(file);
    const { authority } = await fleet.client();
    await assert.rejects(authority.switchAuthority({}), { reason: "AUTHORITY_NOT_READY" });
    await authority.rotateAuthority({});
    await assert.rejects(authority.retireAuthority({ force: true }), { reason: "AUTHORITY_NOT_READY" });
    await assert.rejects(authority.switchAuthority({}), /hosts that are online are not ready .*: deaf;/);
    assert.equal((await authorityOf(fleet)).uninformedOnlineHostCount, 1);
    await authority.switchAuthority({ force: true });
    await assert.rejects(authority.retireAuthority({}), { reason: "AUTHORITY_NOT_READY" });
    await assert.rejects(authority.rotateAuthority({}), { reason: "AUTHORITY_NOT_READY" });
    await authority.retireAuthority({ force: true });
    assert.equal((await authority.retireAuthority({})).authority?.state, STEADY);
  });

  it("V07 a registration token of before the switch still enrols after it", async () => {
    await using fleet = await TlsFleet.start();
    const token = await fleet.plane.createToken("early");
    const { authority } = await fleet.client();
    await authority.rotateAuthority({});
    await authority.switchAuthority({});
    await (await fleet.agent("late", { token })).ready;
    await untilInformed(fleet, 1);
  });

  it("V07 a key file goes on working, learns the successor by its signature, and forgets the first when that is retired", async () => {
    await using fleet = await TlsFleet.start();
    const keyFile = await fleet.copyOfKeyFile("colleague.key");
    const content = async () => JSON.parse(await readFile(keyFile, "utf8")) as { ca: string; apiKey: string };
    const run = async (...args: string[]) => {
      const { host, port } = fleet.plane.apiAddress;
      const env = { FAIRLEAD_KEY_FILE: keyFile, FAIRLEAD_SERVER: `https://${host}:${port}` };
      const { code, stdout, stderr } = await fairleadAlone(args, { env });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const original = await content();
    const first = digestOf(original.ca);
    assert.match(await run("authority", "rotate"), /prepared/);
    assert.match(await run("authority"), new RegExp(`In force +${first}`));
    assert.match(await run("authority", "switch"), /switched/);
    await run("hosts", "ls");
    const second = digestOf(fleet.plane.authorityCertificate ?? "");
    assert.deepEqual(certificatesIn((await content()).ca).map(digestOf), [first, second]);
    assert.equal((await stat(keyFile)).mode & 0o777, 0o600);
    assert.match(await run("authority", "retire", "--json"), /"AUTHORITY_STATE_STEADY"/);
    await run("hosts", "ls");
    assert.deepEqual(certificatesIn((await content()).ca).map(digestOf), [second]);
    assert.equal((await content()).apiKey, original.apiKey);
    await run("hosts", "ls");
    const own = JSON.parse(await readFile(fleet.plane.keyFile ?? "", "utf8")) as { ca: string };
    assert.deepEqual(certificatesIn(own.ca).map(digestOf), [second]);
  });
});
