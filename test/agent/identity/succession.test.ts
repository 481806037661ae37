// @peculiar/x509 needs this before anything else.
import "reflect-metadata";
import assert from "node:assert/strict";
import { webcrypto, X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { provenAuthorities } from "../../../src/agent/identity/succession.ts";
import { TrustStore } from "../../../src/agent/identity/trust-store.ts";
import { CertificateAuthority } from "../../../src/control-plane/certificates/certificate-authority.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { certificatesIn } from "../../../src/rpc/public-key-digest.ts";
import { forgeryOf } from "../../support/forged-certificate.ts";

const nothing = new Uint8Array();
const der = (pem: string) => Uint8Array.from(new X509Certificate(pem).raw);
const now = () => systemClock.now();
const tenYearsMs = 3_650 * 24 * 60 * 60_000;

/** A certificate of an authority that has the key of a server's. */
async function authorityOf(leaf: string, privateKey: string): Promise<string> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const pkcs8 = x509.PemConverter.decodeFirst(privateKey);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=Nobody",
    notAfter: new Date(now() + 60_000),
    keys: {
      privateKey: await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]),
      publicKey: await new x509.X509Certificate(leaf).publicKey.export(),
    },
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  return certificate.toString("pem");
}

describe("the succession of authorities", () => {
  let present: CertificateAuthority;
  let successor: CertificateAuthority;
  let stranger: CertificateAuthority;
  let endorsement: Uint8Array;
  before(async () => {
    [present, successor, stranger] = await Promise.all([
      CertificateAuthority.create(systemClock),
      CertificateAuthority.create(systemClock),
      CertificateAuthority.create(systemClock),
    ]);
    endorsement = der(await present.endorse(successor));
  });

  const proven = (certificate: Uint8Array, signed: Uint8Array, atMs = now()) =>
    provenAuthorities(present.certificate, [{ certificate, endorsement: signed }], atMs).length;

  it("V07 a successor is trusted when the present one has signed it, and in no other way", async () => {
    const certificate = der(successor.certificate);
    const byStranger = der(await stranger.endorse(successor));
    const forStranger = der(await present.endorse(stranger));
    const { certificate: chain } = await present.issueServer(["localhost"]);
    assert.equal(proven(certificate, endorsement), 1);
    const forged = await forgeryOf(endorsement);
    for (const other of [
      nothing,
      forged,
      byStranger,
      forStranger,
      certificate,
      der(chain),
      Uint8Array.of(1, 2, 3),
    ]) {
      assert.equal(proven(certificate, other), 0);
    }
    assert.equal(proven(der(chain), nothing), 0, "a server is no authority");
    assert.equal(proven(nothing, endorsement), 0);
  });

  it("V07 neither before its time nor after it", () => {
    const certificate = der(successor.certificate);
    assert.equal(proven(certificate, endorsement, now() - 2 * 60 * 60_000), 0);
    assert.equal(proven(certificate, endorsement, now() + tenYearsMs + 1_000), 0);
  });

  it("V07 whoever has a server's certificate cannot make an authority of its key", async () => {
    const issued = await present.issueServer(["localhost"]);
    const [leaf = ""] = certificatesIn(issued.certificate);
    assert.equal(proven(der(await authorityOf(leaf, issued.privateKey)), der(leaf)), 0);
  });

  it("V07 an authority has signed itself", () => {
    assert.equal(proven(endorsement, endorsement), 0);
  });

  it("V07 neither a signature that is out of its time counts, nor one by an authority that is", async () => {
    const certificate = der(successor.certificate);
    const past = { ...systemClock, now: () => now() - tenYearsMs - 24 * 60 * 60_000 };
    const once = await CertificateAuthority.from(present.keyed, past);
    assert.equal(proven(certificate, der(await once.endorse(successor))), 0);
    const old = await CertificateAuthority.create(past);
    const late = await CertificateAuthority.from(old.keyed, systemClock);
    const listed = [{ certificate, endorsement: der(await late.endorse(successor)) }];
    assert.deepEqual(provenAuthorities(old.certificate, listed, now()), []);
  });

  it("V07 the present one needs no proof, also when another certificate for its key is known", () => {
    assert.equal(proven(der(present.certificate), nothing), 1);
    const bridge = new X509Certificate(Buffer.from(endorsement)).toString();
    const listed = [{ certificate: der(successor.certificate), endorsement: nothing }];
    assert.equal(provenAuthorities(bridge, listed, now()).length, 1);
  });

  it("V07 what is learned is on the disk, what is not listed any more is forgotten, and a list without proof changes nothing", async () => {
    const folder = await mkdtemp(join(tmpdir(), "fairlead-trust-"));
    try {
      const trust = await TrustStore.open(folder);
      const [old, next, odd] = [present, successor, stranger].map((one) => der(one.certificate));
      const both = [
        { certificate: old ?? nothing, endorsement: nothing },
        { certificate: next ?? nothing, endorsement },
      ];
      assert.equal(await trust.learn(both, now()), 2, "nothing to prove it by");
      assert.equal(trust.authorities, undefined);
      await trust.replace(present.certificate);
      assert.equal(await trust.learn([{ certificate: odd ?? nothing, endorsement: nothing }], now()), 1);
      assert.equal(trust.digests.length, 1);
      assert.equal(await trust.learn(both, now()), 0);
      assert.equal(trust.digests.length, 2);
      assert.equal((await TrustStore.open(folder)).digests.length, 2);
      await trust.learn([{ certificate: next ?? nothing, endorsement: nothing }], now());
      assert.equal(await readFile(join(folder, "ca.pem"), "utf8"), successor.certificate);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
