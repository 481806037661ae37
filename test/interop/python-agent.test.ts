import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { CommandState } from "../../src/gen/fairlead/command/v1/command_pb.js";
import { CommandService } from "../../src/gen/fairlead/command/v1/command_service_pb.js";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { ContainerService } from "../../src/gen/fairlead/container/v1/container_service_pb.js";
import { EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import { EventService } from "../../src/gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../../src/gen/fairlead/host/v1/host_service_pb.js";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import { eventually, type TestControlPlane, testControlPlane } from "../support/control-plane-harness.ts";
import { requireTool } from "../support/require-tool.ts";
import { PythonAgent, type PythonToolchain, pythonToolchain } from "./python-agent-process.ts";

describe("an agent in Python, written from docs/protocol.md and the schema alone", function () {
  this.timeout(40_000);
  let toolchain: PythonToolchain;
  let fleet: TestControlPlane;
  const agents: PythonAgent[] = [];

  before(async function () {
    const found = await pythonToolchain();
    if (typeof found === "string") requireTool(this, found, false);
    else toolchain = found;
  });

  after(() => toolchain?.[Symbol.asyncDispose]());

  beforeEach(async () => {
    fleet = await testControlPlane({
      session: { heartbeatIntervalMs: 500, leaseMs: 1_500 },
      reconnectAfterMs: 100,
    });
  });

  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent[Symbol.asyncDispose]();
    await fleet?.[Symbol.asyncDispose]();
  });

  it("enrols, shows its containers, and stays online by its heartbeats", async () => {
    const agent = await enrolled();
    const { hosts } = await fleet.client(HostService).listHosts({});
    assert.deepEqual(
      hosts.map(({ name, online, facts }) => [name, online, facts?.simulated]),
      [["python", true, true]],
    );
    assert.deepEqual(await names(ContainerState.RUNNING), ["db", "web"]);
    assert.equal((await stat(join(fleet.dataDir, "agent/identity.json"))).mode & 0o777, 0o600);

    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assert.equal(agent.lines.filter(({ event }) => event === "online").length, 1, "the lease ran out");
    const { hosts: later } = await fleet.client(HostService).listHosts({});
    assert.equal(later[0]?.online, true);
  });

  it("answers commands: inspect in parts, stop once, and failures with their reasons", async () => {
    await enrolled();
    const containers = fleet.client(ContainerService);
    const inspected = await containers.inspectContainer({ container: "web" });
    assert.equal(JSON.parse(inspected.engineJson).Name, "/web");
    assert.ok(inspected.engineJson.length > 200_000);

    const preconditions = { expectedState: ContainerState.PAUSED };
    await refuses(containers.stopContainer({ container: "web", preconditions }), "PRECONDITION_FAILED");
    const stopped = await containers.stopContainer({ container: "web" });
    assert.deepEqual([stopped.changed, stopped.container?.state], [true, ContainerState.EXITED]);
    assert.equal((await containers.stopContainer({ container: "web" })).changed, false);
    assert.deepEqual(await names(ContainerState.EXITED), ["web"]);

    await refuses(containers.startContainer({ container: "web" }), "OPERATION_UNSUPPORTED");
    await refuses(containers.stopContainer({ container: "none", host: "python" }), "CONTAINER_NOT_FOUND");
  });

  it("tells what happens on its host as a delta and an event", async () => {
    const agent = await enrolled();
    agent.order("die db");
    await eventually(async () => (await names(ContainerState.EXITED)).includes("db"), "db is seen as exited");
    const filter = { types: [EventType.CONTAINER_DIED] };
    const events = await eventually(async () => {
      const listed = await fleet.client(EventService).listEvents({ filter });
      return listed.events.length > 0 ? listed.events : undefined;
    }, "its end is an event");
    assert.deepEqual(
      events.map(({ containerName, attributes }) => [containerName, attributes["exit_code"]]),
      [["db", "137"]],
    );
  });

  it("runs a command again that it could not begin, because its engine was away for a moment", async () => {
    const agent = await enrolled();
    agent.order("engine off");
    await eventually(async () => !(await engineAvailable()), "the engine is seen as away");
    const call = stop("web");
    await agent.told("runs");
    agent.order("engine on");
    assert.equal((await call).changed, true);
    const runs = agent.lines.filter(({ event }) => event === "runs");
    assert.deepEqual(
      runs.map(({ attempt }) => attempt),
      [1, 2],
    );
    assert.equal(runs[0]?.["command_id"], runs[1]?.["command_id"]);
    assert.equal(await engineAvailable(), true);
  });

  it("comes back after a restart of the control plane, as the same host in a later session", async () => {
    const agent = await enrolled();
    const first = await agent.told("online");
    await fleet.restart({ agentsListen: fleet.controlPlane.agentsAddress });
    const second = await agent.told("online", 2);
    assert.equal(second["agent_id"], first["agent_id"]);
    assert.ok(Number(second["epoch"]) > Number(first["epoch"]));
    await eventually(async () => (await names(ContainerState.RUNNING)).length === 2, "a snapshot came again");
  });

  it("delivers a result that it had recorded when it crashed, and does not run the command again", async () => {
    const crashed = await enrolled({ "crash-at": "recorded" });
    const call = stop("web");
    assert.equal(await crashed.exited, 70);
    const back = start({});
    assert.equal((await call).changed, true);
    const ran = [...crashed.lines, ...back.lines].filter(({ event }) => event === "runs");
    assert.equal(ran.length, 1);
  });

  it("says that it cannot know where it crashed before it could record what it did", async () => {
    const crashed = await enrolled({ "crash-at": "accepted" });
    const call = stop("web");
    call.catch(() => undefined);
    assert.equal(await crashed.exited, 70);
    const back = start({});
    await refuses(call, "OUTCOME_UNKNOWN");
    const { commands } = await fleet.client(CommandService).listCommands({});
    assert.deepEqual(
      commands.map(({ state }) => state),
      [CommandState.OUTCOME_UNKNOWN],
    );
    assert.equal(back.lines.filter(({ event }) => event === "runs").length, 0);
  });

  it("stops when its host was deleted, and says why", async () => {
    const agent = await enrolled();
    await fleet.client(HostService).deleteHost({ host: "python" });
    assert.equal(await agent.exited, 3);
    assert.equal((await agent.told("ended"))["reason"], "AGENT_REVOKED");
  });

  it("is refused with a token that nobody made, and stops", async () => {
    const agent = start({ token: `fl1.none.${"A".repeat(43)}` });
    assert.equal(await agent.exited, 3);
    assert.equal((await agent.told("ended"))["reason"], "UNAUTHENTICATED");
  });

  function start(options: Readonly<Record<string, string>>): PythonAgent {
    const agent = new PythonAgent(toolchain, {
      server: fleet.agentsServer,
      ca: join(fleet.dataDir, "tls", "ca.crt"),
      data: join(fleet.dataDir, "agent"),
      name: "python",
      "engine-id": "PYTH:ON01",
      ...options,
    });
    agents.push(agent);
    return agent;
  }

  async function enrolled(options: Readonly<Record<string, string>> = {}): Promise<PythonAgent> {
    const agent = start({ token: await fleet.controlPlane.createToken("interop"), ...options });
    await agent.told("online");
    await eventually(async () => (await names(ContainerState.RUNNING)).length === 2, "the snapshot came");
    return agent;
  }

  // Known to the inventory only once the snapshot came, so that the host is named.
  function stop(container: string) {
    return fleet.client(ContainerService).stopContainer({ container, host: "python" });
  }

  async function engineAvailable(): Promise<boolean | undefined> {
    const { hosts } = await fleet.client(HostService).listHosts({});
    return hosts[0]?.engineAvailable;
  }

  async function names(state: ContainerState): Promise<string[]> {
    const { containers } = await fleet.client(ContainerService).listContainers({ states: [state] });
    return containers.map(({ name }) => name);
  }
});

async function refuses(call: Promise<unknown>, reason: string): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof ConnectError && error.code !== Code.Internal, String(error));
    assert.deepEqual(
      error.findDetails(ErrorInfoSchema).map((info) => info.reason),
      [reason],
    );
    return true;
  });
}
