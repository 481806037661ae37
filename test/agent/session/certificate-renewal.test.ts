import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import { CertificateFile } from "../../../src/agent/identity/certificate-file.ts";
import { CertificateRenewal } from "../../../src/agent/session/certificate-renewal.ts";
import { CertificateAuthority } from "../../../src/control-plane/certificates/certificate-authority.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { silentLogger } from "../../support/silent-logger.ts";

const hourMs = 60 * 60_000;
const dayMs = 24 * hourMs;

describe("the renewal of an agent's certificate", () => {
  let folder: string;
  let clock: FakeClock;
  let authority: CertificateAuthority;
  let file: CertificateFile;
  let end: AbortController;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "fairlead-renewal-"));
    clock = new FakeClock();
    authority = await CertificateAuthority.create(clock);
    file = await CertificateFile.open(folder, silentLogger);
    end = new AbortController();
  });
  afterEach(async () => {
    end.abort(new Error("the test is over"));
    await rm(folder, { recursive: true });
  });

  const issued = async (request: Uint8Array) =>
    Uint8Array.from(new X509Certificate(await authority.issueAgent(request, "agent")).raw);

  /** Starts it; what it asks, and when, in days from now. */
  function start(random: number) {
    const asked: { readonly day: number; readonly request: Uint8Array }[] = [];
    const begin = clock.now();
    const ask = (request: Uint8Array) => void asked.push({ day: (clock.now() - begin) / dayMs, request });
    const renewal = new CertificateRenewal({ file, clock, random: () => random, logger: silentLogger, ask });
    renewal.run(end.signal).catch(() => undefined);
    return { renewal, asked };
  }

  it("E06 is asked for between 50 and 80 % of its life, again each hour without an answer, and then from the new one on", async () => {
    for (const [random, from, to] of [
      [0, 14.9, 15],
      [0.999, 23.9, 24],
    ] as const) {
      await file.accept(await issued(file.request()));
      const { renewal, asked } = start(random);
      await clock.pass((from - 0.01) * dayMs);
      assert.equal(asked.length, 0);
      await clock.pass((to - from + 0.02) * dayMs);
      assert.equal(asked.length, 1);
      await clock.pass(2 * hourMs);
      assert.equal(asked.length, 3);
      const [, , last] = asked;
      await renewal.take(await issued(last?.request ?? new Uint8Array()));
      await clock.pass((from - 0.01) * dayMs);
      assert.equal(asked.length, 3);
      end.abort(new Error("next"));
      end = new AbortController();
    }
  });

  it("E06 is asked for within the time that the control plane wants it in, also where there was none", async () => {
    const { renewal, asked } = start(0.5);
    await clock.pass(90 * dayMs);
    assert.equal(asked.length, 0);
    renewal.wanted(2 * hourMs);
    await clock.pass(hourMs - 1_000);
    assert.equal(asked.length, 0);
    await clock.pass(2_000);
    assert.equal(asked.length, 1);
  });

  it("E06 for another key than the one that was asked with is not taken, and what is on the disk is what was taken last", async () => {
    const { renewal } = start(0);
    const earlier = file.request();
    const request = file.request();
    await renewal.take(await issued(earlier));
    assert.equal(file.current, undefined);
    await renewal.take(Uint8Array.of(1, 2, 3));
    const answer = await issued(request);
    await renewal.take(answer);
    const again = await CertificateFile.open(folder, silentLogger);
    assert.deepEqual(again.current, file.current);
    assert.deepEqual(Uint8Array.from(again.details?.raw ?? []), answer);
    await renewal.take(answer);
    assert.deepEqual((await CertificateFile.open(folder, silentLogger)).current, file.current);
  });
});
