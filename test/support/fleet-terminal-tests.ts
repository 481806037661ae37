import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { eventually } from "./control-plane-harness.ts";
import { patienceMs } from "./fleet.ts";
import { fleetImage } from "./fleet-engine.ts";
import { type FleetKit, main } from "./fleet-kit.ts";
import { requireTool } from "./require-tool.ts";

const program = new URL("../../src/bin/fairlead.ts", import.meta.url).pathname;
const driver = new URL("../cli/pseudo-terminal.py", import.meta.url).pathname;
const run = promisify(execFile);

/** What a person does when the screen shows something. */
interface Step {
  readonly wait: string;
  readonly type?: string;
  /** Typed again and again until then. */
  readonly again?: string;
  /** Rows and columns. */
  readonly size?: readonly [number, number];
}

/** `fairlead exec` and `fairlead run`, in a real terminal and with pipes. `hasShell`: the engine's shell knows what a terminal is. */
export function terminalTests(kit: FleetKit, hasShell: boolean): void {
  // Each starts several processes, one after the other.
  const timeoutMs = 60_000;

  before(function () {
    requireTool(this, "python3", spawnSync("python3", ["--version"]).status === 0);
  });

  const environment = () => ({
    PATH: process.env["PATH"] ?? "",
    TERM: "xterm",
    FAIRLEAD_KEY_FILE: kit.fleet.plane.controlPlane.keyFile ?? "",
  });

  const inTerminal = async (args: readonly string[], steps: readonly Step[]) => {
    const words = [driver, JSON.stringify(steps), process.execPath, program, ...args];
    const { stdout } = await run("python3", words, { env: environment() });
    return JSON.parse(stdout) as { screen: string; code: number; left: number };
  };

  const piped = (args: readonly string[], input: string | Buffer) => {
    const child = execFile(process.execPath, [program, ...args], { env: environment(), encoding: "buffer" });
    child.stdin?.end(input);
    const pieces: Buffer[] = [];
    child.stdout?.on("data", (piece: Buffer) => pieces.push(piece));
    return new Promise<{ code: number | null; stdout: Buffer }>((resolve) => {
      child.once("close", (code) => resolve({ code, stdout: Buffer.concat(pieces) }));
    });
  };

  it("O13 D03 whoever closes the terminal ends the process", async () => {
    const { name } = await kit.make();
    const args = ["exec", "-t", name, "sh", "-c", "echo begun; sleep 4322"];
    const words = [driver, JSON.stringify([{ wait: "begun" }]), process.execPath, program, ...args];
    const ending = new AbortController();
    const talking = run("python3", words, { env: environment(), signal: ending.signal }).catch(
      () => undefined,
    );
    const { dataStreams } = kit.fleet.plane.controlPlane;
    await eventually(() => dataStreams.size === 1, "the process runs", patienceMs);
    ending.abort();
    await talking;
    await eventually(() => dataStreams.size === 0, "the process has ended", patienceMs);
  }).timeout(timeoutMs);

  it("O13 what is piped in goes through, binary and whole, and the exit code is the command's", async () => {
    const { name } = await kit.make();
    const bytes = Buffer.alloc(
      500_000,
      Uint8Array.from({ length: 253 }, (_, index) => index),
    );
    const { code, stdout } = await piped(["exec", "-i", name, "cat"], bytes);
    assert.equal(code, 0);
    assert.ok(stdout.equals(bytes));
    assert.equal((await piped(["exec", name, "sh", "-c", "exit 42"], "")).code, 42);
    assert.equal((await piped(["exec", "-t", name, "true"], "")).code, 1);
  }).timeout(timeoutMs);

  it("O08 O13 a new container in this terminal, or in the background, as `docker run` does", async () => {
    const labels = Object.entries(kit.engine.labels).flatMap(([key, value]) => [
      "--label",
      `${key}=${value}`,
    ]);
    const where = ["run", "--host", main, ...labels];
    const once = await piped([...where, "--rm", "-i", fleetImage, "cat"], "through a container");
    assert.deepEqual([once.code, once.stdout.toString()], [0, "through a container"]);
    const failing = await piped(
      [...where, "--rm", "-e", "WORD=said", fleetImage, "sh", "-c", "env; exit 6"],
      "",
    );
    assert.equal(failing.code, 6);
    assert.match(failing.stdout.toString(), /^WORD=said$/m);
    const name = kit.engine.uniqueName();
    const detached = await piped([...where, "-d", "--name", name, fleetImage, "sleep", "600"], "");
    const id = detached.stdout.toString().trim();
    assert.equal(await kit.trueState({ id, name }), "running");
    await kit.fleet.api.containers.removeContainer({ container: id, force: true });
    await kit.fleet.untilTrue(main, kit.engine);
  }).timeout(timeoutMs);

  if (!hasShell) return;

  it("O13 a shell in a real terminal: its size and its changes, Ctrl-C, Ctrl-D, and the exit code of the last command", async () => {
    const { name } = await kit.make();
    const { screen, code, left } = await inTerminal(
      ["exec", "-it", `${main}/${name}`, "sh"],
      [
        { wait: "[#$] ", type: "stty size\r" },
        { wait: "24 80[\\s\\S]*[#$] ", size: [33, 111] },
        { wait: "33 111[\\s\\S]*[#$] ", again: "stty size\r", type: "sleep 600\r" },
        // Pressed in the moment in which a shell hands its terminal on, it is heard by nobody.
        { wait: "[#$] ", again: "\u0003", type: "false\r" },
        { wait: "[#$] ", type: "\u0004" },
      ],
    );
    assert.equal(left, 0, screen);
    assert.equal(code, 1, screen);
  }).timeout(timeoutMs);

  it("O08 O13 a shell in a new container, in a real terminal", async () => {
    const labels = Object.entries(kit.engine.labels).flatMap(([key, value]) => [
      "--label",
      `${key}=${value}`,
    ]);
    const { screen, code, left } = await inTerminal(
      ["run", "--host", main, ...labels, "--rm", "-it", fleetImage, "sh"],
      [{ wait: "[#$] ", type: "stty size; exit 4\r" }, { wait: "24 80" }],
    );
    assert.deepEqual([left, code], [0, 4], screen);
  }).timeout(timeoutMs);
}
