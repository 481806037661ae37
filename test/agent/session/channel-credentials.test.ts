// @peculiar/x509 needs this before anything else.
import "reflect-metadata";
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CertificateFile, ClientCertificate } from "../../../src/agent/identity/certificate-file.ts";
import { TrustStore } from "../../../src/agent/identity/trust-store.ts";
import { channelCredentials } from "../../../src/agent/session/channel-credentials.ts";
import { CertificateAuthority } from "../../../src/control-plane/certificates/certificate-authority.ts";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";

describe("what an agent's connections are secured with", () => {
  it("V07 is the same for all of them until the agent trusts another authority or shows another certificate", async () => {
    const folder = await mkdtemp(join(tmpdir(), "fairlead-channels-"));
    try {
      const trust = await TrustStore.open(folder);
      const [one, other] = [
        await CertificateAuthority.create(systemClock),
        await CertificateAuthority.create(systemClock),
      ];
      const shown: { current: ClientCertificate | undefined } = { current: undefined };
      const config = {
        server: "control-plane.example:7443",
        token: undefined,
        credentials: undefined,
        insecure: false,
      };
      const next = () =>
        channelCredentials(config, { trust, certificate: shown as CertificateFile }, neverAborted);

      await trust.replace(one.certificate);
      const first = await next();
      assert.equal(await next(), first);

      await trust.replace(other.certificate);
      const second = await next();
      assert.notEqual(second, first);

      shown.current = await one.issueServer(["agent.example"]);
      const third = await next();
      assert.notEqual(third, second);
      assert.equal(await next(), third);

      const elsewhere = await TrustStore.open(folder);
      const others = channelCredentials(
        config,
        { trust: elsewhere, certificate: shown as CertificateFile },
        neverAborted,
      );
      assert.notEqual(await others, third);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
