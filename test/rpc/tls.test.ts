import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { peerAddressKey } from "../../src/rpc/caller.ts";
import { closeApis, eventually, startApi } from "./api-harness.ts";
import type { Services } from "./api-harness.ts";
import { clientOf, run } from "./callers.ts";

interface Credentials {
  readonly key: string;
  readonly cert: string;
}

const services: Services = {
  hosts: { getHost: ({ host }, { values }) => ({ host: { name: host, id: values.get(peerAddressKey) } }) },
};

describe("API server with TLS", () => {
  let tls: Credentials;
  before(async function () {
    tls = (await selfSigned()) ?? this.skip();
  });
  afterEach(closeApis);

  it("agrees on HTTP/2 or HTTP/1.1 by ALPN, on one port", async () => {
    const { url } = await startApi(services, { tls });
    const nodeOptions = { ca: tls.cert };
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

  it("drains and closes, also with connections that speak neither", async () => {
    const { server } = await startApi(services, { tls });
    const { port } = server.address;
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: tls.cert });
    session.on("error", () => {});
    const odd = connectTls({ port, host: "127.0.0.1", ca: tls.cert, ALPNProtocols: ["http/1.1"] });
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

/** A key and its certificate for 127.0.0.1. Undefined where there is no openssl to make them. */
async function selfSigned(): Promise<Credentials | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "fairlead-tls-"));
  try {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const make = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "1",
    ];
    const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
    await run("openssl", [...make, ...subject, "-keyout", key, "-out", cert]);
    return { key: await readFile(key, "utf8"), cert: await readFile(cert, "utf8") };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  } finally {
    await rm(folder, { recursive: true });
  }
}
