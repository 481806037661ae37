import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ControlPlaneConfig } from "../../src/control-plane/config.ts";
import { startControlPlane } from "../../src/control-plane/control-plane.ts";
import { silentLogger } from "../support/silent-logger.ts";

const anywhere = { host: "127.0.0.1", port: 0 };

describe("the start of a control plane", function () {
  this.timeout(20_000);
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "fairlead-start-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const start = (more: Partial<ControlPlaneConfig> = {}) =>
    startControlPlane({
      dataDir: join(folder, "data"),
      agentsListen: anywhere,
      apiListen: anywhere,
      logger: silentLogger,
      ...more,
    });

  it("S06 a second one on the same data folder is refused before it changes anything, also its hosts' presence", async () => {
    const first = await start();
    const before = readdirSync(join(folder, "data"));
    await assert.rejects(start(), {
      reason: "STORAGE_UNAVAILABLE",
      message: /is in use by another control plane/,
    });
    assert.deepEqual(readdirSync(join(folder, "data")), before);
    await first.close(0);
    await (await start()).close(0);
  });

  for (const [what, setting] of [
    ["agentsListen", "--agents-listen"],
    ["apiListen", "--api-listen"],
  ] as const) {
    it(`says which address of ${what} is taken and which setting chooses another, and leaves the folder free`, async () => {
      const taken = createServer().listen(0, "127.0.0.1");
      await once(taken, "listening");
      const { port } = taken.address() as AddressInfo;
      await assert.rejects(start({ [what]: { host: "127.0.0.1", port } }), {
        reason: "CONFLICT",
        message: new RegExp(`^127.0.0.1:${port} is in use by another program.*${setting}`),
      });
      taken.close();
      await (await start()).close(0);
    });
  }

  it("says that an address is none of this machine", async () => {
    await assert.rejects(start({ agentsListen: { host: "192.0.2.1", port: 0 } }), {
      reason: "INVALID_ARGUMENT",
      message: /^192\.0\.2\.1:0 is no address of this machine; choose another address with --agents-listen/,
    });
  });
});
