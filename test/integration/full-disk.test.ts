import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAgent } from "../../src/agent/agent.ts";
import type { SimulatedCall } from "../../src/agent/engine/simulated-engine.ts";
import { eventually } from "../support/control-plane-harness.ts";
import { rejection } from "../support/dispatching.ts";
import { noGrace, patienceMs } from "../support/fleet.ts";
import { simulatedFleetEngine } from "../support/fleet-engine.ts";
import { FleetProcesses, limitFiles } from "../support/fleet-processes.ts";
import { silentLogger } from "../support/silent-logger.ts";

describe("integration: a control plane whose disk is full", function () {
  this.timeout(60_000);
  this.slow(20_000);

  it("C36 changes fail with STORAGE_UNAVAILABLE before anything is sent, reads go on, and /readyz says so", async function () {
    if (!existsSync("/usr/bin/prlimit")) this.skip();
    await using fleet = new FleetProcesses();
    const serve = await fleet.serve();
    const calls: SimulatedCall[] = [];
    const { engine } = simulatedFleetEngine({ containers: 2, observe: (call) => calls.push(call) });
    const dataDir = await mkdtemp(join(tmpdir(), "fairlead-full-disk-"));
    const server = fleet.agentsAddress;
    const enrolment = await fleet.api.registrationTokens.createRegistrationToken({});
    const agent = await startAgent({
      server,
      dataDir,
      engine,
      token: enrolment.token,
      logger: silentLogger,
      ownContainerId: "",
    });
    try {
      await agent.ready;
      await fleet.untilHost("simulated", ({ containerCount }) => containerCount === 2);
      const { containers, registrationTokens } = fleet.api;
      const stop = { container: "web-1", gracePeriod: noGrace };
      await untilReadiness(fleet, 200);

      limitFiles(serve, 0);
      await rejection(containers.stopContainer(stop), "STORAGE_UNAVAILABLE");
      await rejection(registrationTokens.createRegistrationToken({}), "STORAGE_UNAVAILABLE");
      assert.deepEqual(calls, [], "something was sent");
      assert.equal((await containers.listContainers({})).containers.length, 2);
      assert.equal((await containers.inspectContainer(stop)).container?.name, "web-1");
      assert.equal((await fleet.api.hosts.listHosts({})).hosts.length, 1);
      assert.match(await untilReadiness(fleet, 503), /"storage":"NOT_SERVING"/);

      limitFiles(serve, undefined);
      await untilReadiness(fleet, 200);
      assert.equal((await containers.stopContainer(stop)).changed, true);
      assert.deepEqual(calls.length, 1, "what failed was sent afterwards");
    } finally {
      await agent.close();
      await engine.close();
      await rm(dataDir, { recursive: true });
    }
  });
});

/** Waits until /readyz has this status, and resolves to what it says. */
async function untilReadiness(fleet: FleetProcesses, wanted: number): Promise<string> {
  return eventually(
    async () => {
      const response = await fetch(`http://${fleet.apiAddress}/readyz`);
      const text = await response.text();
      return response.status === wanted ? text : undefined;
    },
    `/readyz answers ${wanted}`,
    patienceMs,
  );
}
