// @peculiar/x509 needs this before anything else.
import "reflect-metadata";
import assert from "node:assert/strict";
import { webcrypto, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import * as x509 from "@peculiar/x509";
import { trustFrom } from "../../src/client/server-trust.ts";
import { CertificateAuthority } from "../../src/control-plane/certificates/certificate-authority.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { certificatesIn } from "../../src/rpc/public-key-digest.ts";

/** What `onSuccessor` is told when a server shows these certificates: how many, or nothing. */
async function told(ca: string, key: string, ...shown: readonly string[]): Promise<string[] | undefined> {
  const server = createServer({ cert: shown.map((pem) => `${pem.trim()}\n`).join(""), key });
  server.on("secureConnection", (socket) => socket.on("error", () => undefined).resume());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  let renewed: string | undefined;
  const { port } = server.address() as AddressInfo;
  const trust = trustFrom({ ca, onSuccessor: (text) => (renewed = text) });
  const socket = connect({ host: "127.0.0.1", port, ...trust });
  try {
    await once(socket, "secureConnect");
    return renewed === undefined ? undefined : certificatesIn(renewed);
  } finally {
    socket.destroy();
    server.close();
  }
}

/** An authority of somebody else that calls itself like another one, down to the key's identifier. */
async function impostorOf(pem: string): Promise<string> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const { subject, extensions } = new x509.X509Certificate(pem);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: subject,
    keys,
    signingAlgorithm: algorithm,
    extensions: extensions.filter(({ type }) => type !== "2.5.29.35"),
  });
  return certificate.toString("pem");
}

describe("the authorities that a client trusts", () => {
  let first: CertificateAuthority;
  let second: CertificateAuthority;
  let bridge: string;
  let leaf: string;
  let key: string;
  before(async () => {
    first = await CertificateAuthority.create(systemClock);
    second = await CertificateAuthority.create(systemClock);
    bridge = await first.endorse(second);
    const issued = await second.issueServer(["127.0.0.1"]);
    [leaf = "", key] = [certificatesIn(issued.certificate)[0], issued.privateKey];
  });

  it("V07 are told apart: a successor that a known one has signed is added, and the known one stays", async () => {
    const renewed = await told(first.certificate, key, leaf, bridge, first.certificate);
    assert.deepEqual(
      renewed?.map((pem) => new X509Certificate(pem).raw),
      [first.certificate, bridge].map((pem) => new X509Certificate(pem).raw),
    );
  });

  it("V07 stay as they are while the server shows the same, and one that was added is trusted for itself", async () => {
    const both = `${first.certificate}${bridge}\n`;
    assert.equal(await told(both, key, leaf, bridge, first.certificate), undefined);
    assert.equal(await told(second.certificate, key, leaf, bridge, first.certificate), undefined);
    assert.equal(await told(`${bridge}\n`, key, leaf, bridge), undefined);
    const renewed = await told(both, key, leaf, second.certificate);
    assert.deepEqual(
      renewed?.map((pem) => new X509Certificate(pem).raw),
      [new X509Certificate(second.certificate).raw],
    );
  });

  it("V07 are not joined by one that has only the name and the key's identifier of the successor", async () => {
    const impostor = await impostorOf(second.certificate);
    assert.equal(await told(second.certificate, key, leaf, impostor), undefined);
    assert.equal(
      await told(`${second.certificate}${first.certificate}`, key, leaf, impostor, bridge),
      undefined,
    );
  });

  it("V07 are of no use to a server by another name, although somebody is told of successors", async () => {
    const { certificate, privateKey } = await first.issueServer(["elsewhere.example"]);
    await assert.rejects(told(first.certificate, privateKey, certificate), {
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
  });

  it("V07 keep a stranger out", async () => {
    await assert.rejects(told(first.certificate, key, leaf, second.certificate));
  });
});
