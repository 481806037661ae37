import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { killPrograms } from "../cli/process.ts";
import { eventually } from "../support/control-plane-harness.ts";
import { patienceMs } from "../support/fleet.ts";
import { FleetProcesses } from "../support/fleet-processes.ts";
import { requireTool } from "../support/require-tool.ts";

/** One system call of a process, as strace tells it. */
interface Call {
  readonly thread: string;
  readonly name: string;
  /** What the file descriptor of its first argument is open on. */
  readonly target: string;
}

/** Follows what a process asks of the system about files and sockets, from now on. Resolves when it does. */
async function follow(pid: number, path: string): Promise<() => Promise<Call[]>> {
  const calls = "fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg";
  const strace = spawn(
    "strace",
    ["-f", "-yy", "-s", "0", "-e", `trace=${calls}`, "-o", path, "-p", `${pid}`],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  await once(strace.stderr, "data");
  return async () => {
    strace.kill("SIGINT");
    await once(strace, "exit");
    return (await readFile(path, "utf8")).split("\n").flatMap((line) => {
      const [, thread, name, target] = /^(\d+)\s+(\w+)\(\d+<(.*?)>(?:[,)]| <unfinished)/.exec(line) ?? [];
      return thread === undefined || name === undefined || target === undefined
        ? []
        : [{ thread, name, target }];
    });
  };
}

function canTrace(): boolean {
  return spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;
}

const isSync = ({ name }: Call) => name === "fsync" || name === "fdatasync";
const isSend = ({ name, target }: Call) =>
  /^(write|writev|sendto|sendmsg)$/.test(name) && target.startsWith("TCP");

describe("integration: the order of system calls", function () {
  this.timeout(60_000);
  before(function () {
    requireTool(this, "strace", canTrace());
  });
  afterEach(killPrograms);

  it("C40 each side has synchronised its journal before it sends, starts or answers anything of a command", async () => {
    await using fleet = new FleetProcesses();
    const serve = await fleet.serve();
    const agent = await fleet.enrol("edge");
    const { containers } = await fleet.api.containers.listContainers({ hosts: ["edge"] });
    const [container] = containers;
    assert.ok(container !== undefined && serve.child.pid !== undefined && agent.child.pid !== undefined);
    // The agent's journal is made at its first command.
    await fleet.api.containers.restartContainer({
      container: container.id,
      gracePeriod: { seconds: 0n, nanos: 0 },
    });
    const server = await follow(serve.child.pid, join(fleet.folder, "server.strace"));
    const host = await follow(agent.child.pid, join(fleet.folder, "agent.strace"));
    await fleet.api.containers.restartContainer({
      container: container.id,
      gracePeriod: { seconds: 0n, nanos: 0 },
    });
    await eventually(
      async () => (await fleet.api.commands.listCommands({ states: [4] })).commands.length === 2,
      "both ended",
      patienceMs,
    );
    const [ofServer, ofAgent] = [await server(), await host()];

    // The control plane: the caller's request is on its way in; nothing goes out to the agent before the command is on the disk.
    const journal = join(fleet.folder, "server", "fairlead.db-wal");
    const toAgent = (call: Call) => isSend(call) && call.target.includes(fleet.agentsAddress);
    const toCaller = (call: Call) => isSend(call) && call.target.includes(fleet.apiAddress);
    const order = kinds(withoutEvents(ofServer, journal), {
      written: (call) => call.target === journal && !isSync(call),
      synced: (call) => call.target === journal && isSync(call),
      sent: toAgent,
      answered: toCaller,
    });
    assert.deepEqual(neverUnsafe(order, "sent"), true, order.join(" "));
    assert.deepEqual(neverUnsafe(order, "answered"), true, order.join(" "));

    // The agent: its acceptance and its result go out after their commits.
    const own = join(fleet.folder, "edge", "agent-simulated", "journal.db-wal");
    const said = kinds(ofAgent, {
      written: (call) => call.target === own && !isSync(call),
      synced: (call) => call.target === own && isSync(call),
      sent: (call) => isSend(call),
    });
    assert.ok(said.filter((kind) => kind === "synced").length >= 2, said.join(" "));
    assert.deepEqual(neverUnsafe(said, "sent"), true, said.join(" "));
  });
});

/** Without the transactions that hold events alone: those are synchronised apart, by another thread than the one that sends. */
function withoutEvents(calls: readonly Call[], journal: string): Call[] {
  let isApart = false;
  return calls
    .toReversed()
    .filter((call) => {
      if (call.target !== journal) return true;
      if (isSync(call)) isApart = call.thread !== calls.find(isSend)?.thread;
      return !isApart;
    })
    .toReversed();
}

/** The calls that matter, each by its kind, in their order. */
function kinds(calls: readonly Call[], tests: Readonly<Record<string, (call: Call) => boolean>>): string[] {
  return calls.flatMap((call) => Object.entries(tests).flatMap(([kind, test]) => (test(call) ? [kind] : [])));
}

/** Whether nothing of this kind comes between a write to the journal and the synchronisation that makes it safe. */
function neverUnsafe(order: readonly string[], kind: string): boolean {
  let unsafe = false;
  for (const each of order) {
    if (each === "written") unsafe = true;
    if (each === "synced") unsafe = false;
    if (each === kind && unsafe) return false;
  }
  return order.includes("written") && order.includes("synced") && order.includes(kind);
}
