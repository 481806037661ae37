import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type RunningProgram, runProgram } from "../cli/process.ts";
import { CommandState } from "../../src/gen/fairlead/command/v1/command_pb.js";
import { eventually } from "../support/control-plane-harness.ts";
import { patienceMs, sleeping } from "../support/fleet.ts";
import { FleetProcesses, logOf } from "../support/fleet-processes.ts";

/** What the program promises: shorter than the ten seconds after which `docker stop` kills. */
const graceMs = 8_000;
/** A slow machine's share. */
const slackMs = 20_000;

describe("integration: processes that end", function () {
  this.timeout(60_000);
  this.slow(10_000);
  let fleet: FleetProcesses;
  let serve: RunningProgram;
  let agent: RunningProgram;

  beforeEach(async () => {
    fleet = new FleetProcesses();
    serve = await fleet.serve();
    agent = await fleet.enrol("north");
  });
  afterEach(() => fleet[Symbol.asyncDispose]());

  it("a control plane that was killed starts again with its hosts, tokens, commands and events", async () => {
    const { registrationTokens, commands, events, hosts } = fleet.api;
    const ended = await fleet.run("stop", "web-1", "--json");
    assert.equal(ended.code, 0, ended.stderr);
    const open = await beginStop("busy", 2_000);
    const remembered = async () => ({
      tokens: (await registrationTokens.listRegistrationTokens({})).registrationTokens,
      hosts: (await hosts.listHosts({})).hosts.map(({ id, agentId, name }) => ({ id, agentId, name })),
      ended: (await commands.listCommands({ container: webId })).commands,
    });
    const webId = (await fleet.api.containers.getContainer({ container: "web-1" })).container?.id ?? "";
    const before = await remembered();
    assert.deepEqual([before.tokens.length, before.hosts.length, before.ended.length], [1, 1, 1]);
    const told = (await events.listEvents({ pageSize: 1_000 })).events;

    serve.child.kill("SIGKILL");
    assert.equal(await serve.ended(), "SIGKILL");
    await assert.rejects(open.call);
    serve = await fleet.serve();
    assert.deepEqual(await remembered(), before);
    const toldNow = (await events.listEvents({ pageSize: 1_000 })).events;
    assert.deepEqual(toldNow.slice(0, told.length), told);

    await fleet.untilHost("north", ({ online }) => online);
    const { command } = await commands.waitCommand({ id: open.id, timeout: durationFromMs(patienceMs) });
    assert.deepEqual([command?.state, command?.changed], [CommandState.SUCCEEDED, true], "C26 its true end");
  });

  it("an agent that was killed comes back with its identity, as the same host", async () => {
    const before = await fleet.untilHost("north", ({ online }) => online);
    const idOfWeb = async () =>
      (await fleet.api.containers.getContainer({ container: "web-1" })).container?.id;
    const idBefore = await idOfWeb();
    agent.child.kill("SIGKILL");
    assert.equal(await agent.ended(), "SIGKILL");
    await fleet.untilHost("north", ({ online }) => !online);
    agent = await fleet.agent("north");
    const after = await fleet.untilHost("north", ({ online, engineAvailable }) => online && engineAvailable);
    assert.deepEqual([after.id, after.agentId], [before.id, before.agentId]);
    assert.ok(after.sessionEpoch > before.sessionEpoch);
    // A simulated engine dies with its agent: that of the new one has containers of its own.
    await eventually(async () => (await idOfWeb()) !== idBefore, "its containers are known", patienceMs);
    const { code, stderr } = await fleet.run("stop", "web-1");
    assert.equal(code, 0, stderr);
  });

  for (const name of ["serve", "agent"] as const) {
    it(`S18 SIGTERM lets ${name} finish what runs, and it exits with 0 within the grace`, async () => {
      const program = name === "serve" ? serve : agent;
      const { call } = await beginStop("busy", 2_000);
      const began = performance.now();
      program.child.kill("SIGTERM");
      const { changed, container } = await call;
      assert.deepEqual([changed, container?.exitCode], [true, 137]);
      assert.equal(await program.ended(), 0, program.written.stderr);
      assert.ok(performance.now() - began < graceMs + slackMs);
      if (name === "agent") await fleet.untilHost("north", ({ online }) => !online);
    });

    it(`S18 a second signal ends ${name} at once`, async () => {
      const program = name === "serve" ? serve : agent;
      const { call } = await beginStop("busy", 60_000);
      call.catch(() => undefined);
      program.child.kill("SIGTERM");
      await program.until(/a second signal ends it at once/, "stderr");
      const began = performance.now();
      program.child.kill("SIGTERM");
      assert.equal(await program.ended(), 143);
      assert.ok(performance.now() - began < slackMs);
    });
  }

  it("S18 SIGTERM ends both with 0 when the grace is over, whatever still runs", async () => {
    const { call } = await beginStop("busy", 60_000);
    const answered = call.then(
      () => undefined,
      (error: unknown) => error,
    );
    const began = performance.now();
    for (const { child } of [serve, agent]) child.kill("SIGTERM");
    assert.deepEqual(await Promise.all([serve.ended(), agent.ended()]), [0, 0], serve.written.stderr);
    const tookMs = performance.now() - began;
    assert.ok(tookMs > graceMs / 2 && tookMs < graceMs + slackMs, `it took ${tookMs} ms`);
    assert.ok((await answered) instanceof Error, "the caller was not told");
  });

  /** Begins to stop a container that ignores it for so long, and waits until its agent has the command. */
  async function beginStop(name: string, graceMilliseconds: number) {
    const { containers, commands } = fleet.api;
    const { container } = await containers.createContainer({ name, spec: sleeping({}), start: true });
    const id = container?.id ?? "";
    const call = containers.stopContainer({ container: id, gracePeriod: durationFromMs(graceMilliseconds) });
    // Whoever wants to know awaits it.
    call.catch(() => undefined);
    const accepted = await eventually(
      async () => {
        const found = await commands.listCommands({ container: id, states: [CommandState.ACCEPTED] });
        return found.commands[0];
      },
      "the agent has the command",
      patienceMs,
    );
    return { id: accepted.id, call };
  }
});

describe("integration: processes that are left alone", function () {
  this.timeout(60_000);
  this.slow(10_000);
  const fleet = new FleetProcesses();
  let serve: RunningProgram;
  let agent: RunningProgram;

  before(async () => {
    serve = await fleet.serve();
    agent = await fleet.enrol("north");
  });
  after(() => fleet[Symbol.asyncDispose]());

  it("L09 every log line of a command, in both processes, has its id, its agent and the session's epoch", async () => {
    const { commandId } = await fleet.api.containers.stopContainer({ container: "web-1" });
    const ofCommand = (program: RunningProgram) =>
      logOf(program).filter((line) => line["command_id"] === commandId);
    for (const program of [serve, agent]) {
      await eventually(() => ofCommand(program).length > 0, "it is logged", patienceMs);
      for (const line of ofCommand(program)) {
        assert.match(String(line["agent_id"]), /./, JSON.stringify(line));
        assert.ok(Number(line["session_epoch"]) > 0, JSON.stringify(line));
      }
    }
  });

  it("E06 the agent's key stays in a file for its owner alone", () => {
    const file = join(fleet.folder, "north", "agent-simulated", "agent.json");
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const secrets = Object.values(JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>);
    const [key = ""] = secrets.filter((value) => typeof value === "string" && value.includes("PRIVATE"));
    assert.ok(typeof key === "string" && key.length > 0, "there is no key in it");
    const [secret = ""] = /[A-Za-z0-9+/]{40,}/.exec(key) ?? [];
    assert.ok(secret.length >= 40);
    const database = readFileSync(join(fleet.folder, "server", "fairlead.db"), "latin1");
    for (const text of [serve.written.stderr, agent.written.stderr, agent.written.stdout, database]) {
      assert.ok(!text.includes(secret));
    }
  });

  it("E06 a data folder that cannot be made is a clear error, before anything is sent", async () => {
    const contacts: unknown[] = [];
    const server = createServer((socket) => contacts.push(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const file = join(fleet.folder, "file");
    writeFileSync(file, "");
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const flags = ["--engine", "simulated", "--server", address, "--data", join(file, "data")];
    const { code, stderr } = await runProgram(["agent", ...flags, "--token", `fl1.none.${"x".repeat(43)}`]);
    server.close();
    assert.equal(code, 1);
    assert.match(stderr, /^fairlead: .*STORAGE_UNAVAILABLE/m);
    assert.deepEqual(contacts, []);
  });
});
