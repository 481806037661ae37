import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type TLSSocket } from "node:tls";
import type { AddressInfo } from "node:net";
import { certificateRequest } from "../../../src/agent/identity/certificate-request.ts";
import { CertificateAuthority } from "../../../src/control-plane/certificates/certificate-authority.ts";
import { systemClock } from "../../../src/resilience/clock.ts";

async function handshake(
  server: { cert: string; key: string },
  ca: string,
  servername = "localhost",
): Promise<string> {
  const listener = createServer({ cert: server.cert, key: server.key }, (socket: TLSSocket) =>
    socket.end("hello"),
  );
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  try {
    const socket = connect({
      host: "127.0.0.1",
      port: (listener.address() as AddressInfo).port,
      ca,
      servername,
    });
    await once(socket, "secureConnect");
    socket.resume();
    await once(socket, "close");
    return socket.getProtocol() ?? "closed";
  } finally {
    listener.close();
  }
}

/** How long it lives, less the hour before its making for peers whose clocks are behind. */
function daysOf({ validFromDate, validToDate }: X509Certificate): number {
  const hours = Math.round((validToDate.getTime() - validFromDate.getTime()) / 3_600_000);
  return (hours - 1) / 24;
}

describe("certificate authority", () => {
  it("V07 a client that trusts the authority alone accepts its server by name and by address, and nobody else's", async () => {
    const authority = await CertificateAuthority.create(systemClock);
    const { certificate: cert, privateKey: key } = await authority.issueServer([
      "localhost",
      "127.0.0.1",
      "::1",
    ]);
    await handshake({ cert, key }, authority.certificate);
    const stranger = await CertificateAuthority.create(systemClock);
    await assert.rejects(handshake({ cert, key }, stranger.certificate), {
      code: "SELF_SIGNED_CERT_IN_CHAIN",
    });
    await assert.rejects(handshake({ cert, key }, authority.certificate, "elsewhere.example"), {
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
  });

  it("V07 the digest is SHA-256 of the public key, and survives being kept", async () => {
    const authority = await CertificateAuthority.create(systemClock);
    const spki = new X509Certificate(authority.certificate).publicKey.export({ type: "spki", format: "der" });
    assert.equal(authority.digest, createHash("sha256").update(spki).digest("base64url"));
    const again = await CertificateAuthority.from(authority.keyed, systemClock);
    assert.equal(again.digest, authority.digest);
    const { certificate: cert, privateKey: key } = await again.issueServer(["localhost"]);
    await handshake({ cert, key }, authority.certificate);
  });

  it("V07 a successor that the authority endorsed is accepted by whoever trusts the authority", async () => {
    const authority = await CertificateAuthority.create(systemClock);
    const successor = await CertificateAuthority.create(systemClock);
    const endorsed = await authority.endorse(successor);
    const { certificate, privateKey: key } = await successor.issueServer(["localhost"]);
    const [leaf = ""] = certificate.split(/(?<=-----END CERTIFICATE-----)\n/);
    await handshake({ cert: `${leaf}\n${endorsed}\n`, key }, authority.certificate);
    await assert.rejects(handshake({ cert: certificate, key }, authority.certificate));
  });

  it("V07 nothing that a server is given can sign, and an authority is no server", async () => {
    const authority = await CertificateAuthority.create(systemClock);
    const leaf = new X509Certificate((await authority.issueServer(["localhost"])).certificate);
    assert.equal(leaf.ca, false);
    assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
    assert.equal(new X509Certificate(authority.certificate).ca, true);
    assert.equal(daysOf(leaf), 90);
  });

  it("E06 an agent's certificate is for clients alone, for 30 days, and for a P-256 key that signed its request", async () => {
    const authority = await CertificateAuthority.create(systemClock);
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const request = certificateRequest(privateKey);
    const leaf = new X509Certificate(await authority.issueAgent(request, "agent-1"));
    assert.deepEqual([leaf.ca, leaf.subject, daysOf(leaf)], [false, "CN=agent-1", 30]);
    assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
    assert.ok(leaf.checkPrivateKey(privateKey));
    const other = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
    const altered = Uint8Array.from(request);
    altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
    for (const bad of [certificateRequest(other), altered, Uint8Array.of(1, 2, 3)]) {
      await assert.rejects(authority.issueAgent(bad, "agent-1"), { reason: "INVALID_ARGUMENT" });
    }
  });
});
