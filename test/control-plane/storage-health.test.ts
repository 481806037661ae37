import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { Health, HealthCheckResponse_ServingStatus } from "../../src/gen/grpc/health/v1/health_pb.js";
import { killChildren, startChild } from "../storage/child-process.ts";
import { connectTransport, keyFileOf, pageOf } from "../support/api-place.ts";
import { eventually } from "../support/control-plane-harness.ts";
import { requireTool } from "../support/require-tool.ts";

describe("the health of the storage", () => {
  afterEach(killChildren);

  it("L08 C36 a disk that is full is told at once on /readyz and by gRPC health, reads go on, and room is noticed", async function () {
    this.timeout(60_000);
    requireTool(this, "prlimit", existsSync("/usr/bin/prlimit"));
    const folder = mkdtempSync(join(tmpdir(), "fairlead-full-"));
    // 3,000 blocks of 512 or 1,024 bytes, by the shell.
    const limited = ["/bin/sh", "-c", 'ulimit -S -f 3000; exec "$@"', "sh"];
    const script = "../../control-plane/processes/serve-until-full.ts";
    const child = startChild(script, [folder], limited);
    try {
      const { port, pid } = JSON.parse((await child.line()) ?? "{}") as { port: number; pid: number };
      const { apiKey, ca } = keyFileOf(join(folder, "admin.key"));
      const api = { baseUrl: `https://127.0.0.1:${port}`, ca };
      const transport = connectTransport(api, apiKey);
      const readiness = async () => {
        const { status, text } = await pageOf(api, "/readyz");
        const { parts } = JSON.parse(text) as { parts: Record<string, string> };
        return [status, parts["storage"]];
      };
      assert.deepEqual(await readiness(), [200, "SERVING"]);
      child.process.stdin.write("fill\n");
      assert.equal(await child.line(), "full");
      // Where a token does not fit, the probe may once or twice still find room, and until the next token is refused all seems well.
      const staysDown = async () => {
        for (let look = 0; look < 15; look += 1) {
          if ((await readiness())[0] !== 503) return false;
          await delay(100);
        }
        return true;
      };
      await eventually(
        staysDown,
        "it says that it does not serve, for longer than from one probe to the next",
        30_000,
      );
      assert.deepEqual(await readiness(), [503, "NOT_SERVING"]);
      const { status } = await createClient(Health, transport).check({ service: "storage" });
      assert.equal(status, HealthCheckResponse_ServingStatus.NOT_SERVING);
      assert.equal((await pageOf(api, "/healthz")).status, 200);
      assert.deepEqual((await createClient(HostService, transport).listHosts({})).hosts, []);
      spawnSync("prlimit", ["--pid", `${pid}`, "--fsize=unlimited"]);
      await eventually(
        async () => (await readiness())[0] === 200,
        "it works again, with nobody asking",
        30_000,
      );
    } finally {
      child.process.stdin.end();
      await child.ended;
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
