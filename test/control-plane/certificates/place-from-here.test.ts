import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CertificateAuthority } from "../../../src/control-plane/certificates/certificate-authority.ts";
import { placeFromHere } from "../../../src/control-plane/certificates/place-from-here.ts";
import { ChangingTls } from "../../../src/control-plane/certificates/tls-identity.ts";
import { startControlPlane } from "../../../src/control-plane/control-plane.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { keyFileOf } from "../../support/api-place.ts";
import { silentLogger } from "../../support/silent-logger.ts";

describe("where this machine reaches a listener", function () {
  this.timeout(20_000);
  let authority: CertificateAuthority;
  before(async () => {
    authority = await CertificateAuthority.create(systemClock);
  });

  it("V07 by a name that its certificate has: its address, what is advertised, or the first one", async () => {
    for (const [host, names, advertise, place] of [
      ["0.0.0.0", ["127.0.0.1", "fleet.example.com"], ["fleet.example.com"], "127.0.0.1:7"],
      ["::1", ["::1"], [], "[::1]:7"],
      ["127.0.0.1", ["localhost", "fleet.example.com"], [], "localhost:7"],
      ["127.0.0.1", ["fleet.example.com", "localhost"], [], "localhost:7"],
      ["10.1.2.3", ["localhost", "a.example.com", "b.example.com"], ["b.example.com"], "b.example.com:7"],
      ["127.0.0.1", ["*.example.com"], ["fleet.example.com"], "fleet.example.com:7"],
      ["127.0.0.1", ["*.example.com", "plain.example.com"], ["elsewhere"], "plain.example.com:7"],
      ["127.0.0.1", ["*.example.com"], [], "127.0.0.1:7"],
    ] as const) {
      const { certificate: cert, privateKey: key } = await authority.issueServer(names);
      assert.equal(placeFromHere({ host, port: 7 }, new ChangingTls({ cert, key }), advertise), place);
    }
    assert.equal(placeFromHere({ host: "::", port: 7 }, undefined), "127.0.0.1:7");
  });

  it("V07 the admin's key file says so, with a certificate of the operator's", async () => {
    const folder = mkdtempSync(join(tmpdir(), "fairlead-place-"));
    const files = { certificate: join(folder, "server.pem"), privateKey: join(folder, "server.key") };
    const { certificate, privateKey } = await authority.issueServer(["fleet.example.com"]);
    writeFileSync(files.certificate, certificate);
    writeFileSync(files.privateKey, privateKey);
    const anywhere = { host: "127.0.0.1", port: 0 };
    const plane = await startControlPlane({
      dataDir: join(folder, "data"),
      agentsListen: anywhere,
      apiListen: anywhere,
      tls: { kind: "files", ...files },
      logger: silentLogger,
    });
    try {
      const { server } = keyFileOf(plane.keyFile ?? "");
      assert.equal(server, `https://fleet.example.com:${plane.apiAddress.port}`);
      assert.deepEqual(
        [server, plane.agentsServer],
        [plane.apiUrl, `fleet.example.com:${plane.agentsAddress.port}`],
      );
    } finally {
      await plane.close(0);
      rmSync(folder, { recursive: true });
    }
  });
});
