import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTls } from "node:tls";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { CertificateAuthority } from "../../src/control-plane/certificates/certificate-authority.ts";
import { ChangingTls } from "../../src/control-plane/certificates/tls-identity.ts";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { peerAddressKey } from "../../src/rpc/caller.ts";
import { closeApis, eventually, startApi } from "./api-harness.ts";
import type { Services } from "./api-harness.ts";
import { clientOf } from "./callers.ts";

const services: Services = {
  hosts: { getHost: ({ host }, { values }) => ({ host: { name: host, id: values.get(peerAddressKey) } }) },
};

describe("API server with TLS", () => {
  let authority: CertificateAuthority;
  let tls: ChangingTls;
  const issued = async () => {
    const { certificate: cert, privateKey: key } = await authority.issueServer(["127.0.0.1"]);
    return { cert, key };
  };
  before(async () => {
    authority = await CertificateAuthority.create(systemClock);
    tls = new ChangingTls(await issued());
  });
  afterEach(closeApis);

  it("agrees on HTTP/2 or HTTP/1.1 by ALPN, on one port", async () => {
    const { url } = await startApi(services, { tls });
    const nodeOptions = { ca: authority.certificate };
    for (const transport of [
      createGrpcTransport({ baseUrl: url, nodeOptions }),
      createConnectTransport({ baseUrl: url, httpVersion: "2", nodeOptions }),
      createConnectTransport({ baseUrl: url, httpVersion: "1.1", nodeOptions }),
    ]) {
      const { host } = await clientOf(HostService, transport).getHost({ host: "alpha" });
      assert.equal(host?.name, "alpha");
      assert.equal(host?.id, "127.0.0.1");
    }
  });

  it("V07 shows a new certificate to new connections, and open ones live on", async () => {
    const { server } = await startApi(services, { tls });
    const shown = async () => {
      const socket = connectTls({ port: server.address.port, host: "127.0.0.1", ca: authority.certificate });
      await once(socket, "secureConnect");
      return { socket, serial: socket.getPeerX509Certificate()?.serialNumber };
    };
    const before = await shown();
    tls.replace(await issued());
    const after = await shown();
    assert.notEqual(after.serial, before.serial);
    assert.equal(before.socket.readyState, "open");
    before.socket.destroy();
    after.socket.destroy();
  });

  it("V07 speaks nothing older than TLS 1.2", async () => {
    const { server } = await startApi(services, { tls });
    const ca = authority.certificate;
    const old = connectTls({
      port: server.address.port,
      host: "127.0.0.1",
      ca,
      maxVersion: "TLSv1.1",
      minVersion: "TLSv1",
      ciphers: "ALL:@SECLEVEL=0",
    });
    await assert.rejects(once(old, "secureConnect"), /alert|protocol/i);
  });

  it("V07 does not shake hands twice on one connection", async () => {
    const { server } = await startApi(services, { tls });
    const ca = authority.certificate;
    const again = connectTls({ port: server.address.port, host: "127.0.0.1", ca, maxVersion: "TLSv1.2" });
    await once(again, "secureConnect");
    const { promise, resolve } = Promise.withResolvers<Error | null>();
    again.on("error", resolve);
    assert.ok(again.renegotiate({ rejectUnauthorized: true }, resolve));
    assert.match((await promise)?.message ?? "it did", /renegotiation/i);
    again.destroy();
  });

  it("drains and closes, also with connections that speak neither", async () => {
    const { server } = await startApi(services, { tls });
    const { port } = server.address;
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: authority.certificate });
    session.on("error", () => {});
    const odd = connectTls({
      port,
      host: "127.0.0.1",
      ca: authority.certificate,
      ALPNProtocols: ["http/1.1"],
    });
    odd.on("error", () => {});
    odd.write("\u0000\u0001 no HTTP at all");
    await eventually(() => server.connectionCount >= 1, "a connection is open");
    await server.drain();
    await server.close();
    assert.equal(server.connectionCount, 0);
    session.destroy();
    odd.destroy();
  });
});
