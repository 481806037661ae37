import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type RunningAgent, startAgent } from "../../src/agent/agent.ts";
import type { SimulatedCall } from "../../src/agent/engine/simulated-engine-options.ts";
import type { RunningProgram } from "../cli/process.ts";
import { CommandState } from "../../src/gen/fairlead/command/v1/command_pb.js";
import { OfflinePolicy } from "../../src/gen/fairlead/command/v1/offline_policy_pb.js";
import { eventually } from "../support/control-plane-harness.ts";
import { rejection } from "../support/dispatching.ts";
import { noGrace, patienceMs, sleeping } from "../support/fleet.ts";
import { simulatedFleetEngine } from "../support/fleet-engine.ts";
import { FleetProcesses, limitFiles, logOf } from "../support/fleet-processes.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { requireTool } from "../support/require-tool.ts";

describe("integration: a control plane whose disk is full", function () {
  this.timeout(60_000);
  this.slow(20_000);

  const calls: SimulatedCall[] = [];
  let fleet: FleetProcesses;
  let serve: RunningProgram;
  let engine: ReturnType<typeof simulatedFleetEngine>;
  let agent: RunningAgent;
  let dataDir: string;

  before(async function () {
    requireTool(this, "prlimit", existsSync("/usr/bin/prlimit"));
    fleet = new FleetProcesses();
    serve = await fleet.serve();
    engine = simulatedFleetEngine({ containers: 2, observe: (call) => calls.push(call) });
    dataDir = await mkdtemp(join(tmpdir(), "fairlead-full-disk-"));
    const { token } = await fleet.api.registrationTokens.createRegistrationToken({});
    agent = await startAgent({
      server: fleet.agentsAddress,
      dataDir,
      engine: engine.engine,
      token,
      logger: silentLogger,
      ownContainerId: "",
    });
    await agent.ready;
    await fleet.untilHost("simulated", ({ containerCount }) => containerCount === 2);
  });
  after(async () => {
    await agent?.close();
    await engine?.dispose();
    await fleet?.[Symbol.asyncDispose]();
    if (dataDir !== undefined) await rm(dataDir, { recursive: true });
  });

  it("C36 changes fail with STORAGE_UNAVAILABLE before anything is sent, reads go on, and /readyz says so", async () => {
    const { containers, hosts, registrationTokens } = fleet.api;
    const stop = { container: "web-1", gracePeriod: noGrace };
    await untilReadiness(fleet, 200);

    limitFiles(serve, 0);
    await rejection(containers.stopContainer(stop), "STORAGE_UNAVAILABLE");
    await rejection(registrationTokens.createRegistrationToken({}), "STORAGE_UNAVAILABLE");
    assert.deepEqual(calls, [], "something was sent");
    assert.equal((await containers.listContainers({})).containers.length, 2);
    assert.equal((await containers.inspectContainer(stop)).container?.name, "web-1");
    assert.equal((await hosts.listHosts({})).hosts.length, 1);
    assert.match(await untilReadiness(fleet, 503), /"storage":"NOT_SERVING"/);

    limitFiles(serve, undefined);
    await untilReadiness(fleet, 200);
    assert.equal((await containers.stopContainer(stop)).changed, true);
    assert.equal(calls.length, 1, "what failed was sent afterwards");
  });

  it("C36 L09 a command that ended while the disk was full reaches its true end when there is room again", async () => {
    const { containers, commands } = fleet.api;
    const spec = sleeping({});
    const { container } = await containers.createContainer({ name: "busy", spec, start: true });
    const target = { container: container?.id ?? "", offlinePolicy: OfflinePolicy.QUEUE };
    const gracePeriod = durationFromMs(1_000);
    const { commandId: id } = await containers.stopContainer({ ...target, gracePeriod });
    const accepted = async () => (await commands.getCommand({ id })).command?.state === CommandState.ACCEPTED;
    await eventually(accepted, "the agent has the command", patienceMs);

    limitFiles(serve, 0);
    const { command_id: _, ...line } = await eventually(
      () =>
        logOf(serve).find(
          ({ command_id, msg }) => command_id === id && msg === "a command's end could not be stored",
        ),
      "the end cannot be stored",
      patienceMs,
    );
    assert.match(String(line["agent_id"]), /./, JSON.stringify(line));
    assert.ok(Number(line["session_epoch"]) > 0, JSON.stringify(line));

    limitFiles(serve, undefined);
    const { command } = await commands.waitCommand({ id, timeout: durationFromMs(2 * patienceMs) });
    assert.deepEqual([command?.state, command?.changed], [CommandState.SUCCEEDED, true]);
  });
});

/** Waits until /readyz has this status, and resolves to what it says. */
async function untilReadiness(fleet: FleetProcesses, wanted: number): Promise<string> {
  return eventually(
    async () => {
      const { status, text } = await fleet.page("/readyz");
      return status === wanted ? text : undefined;
    },
    `/readyz answers ${wanted}`,
    patienceMs,
  );
}
