import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killPrograms, type RunningProgram, runProgram, startProgram } from "../cli/process.ts";
import { createFairlead, type Fairlead } from "../../src/client/create-fairlead.ts";
import type { Host } from "../../src/gen/fairlead/host/v1/host_pb.js";
import { keyFileOf, type Page, pageOf } from "./api-place.ts";
import type { LogLine } from "./agent-harness.ts";
import { eventually } from "./control-plane-harness.ts";
import { patienceMs } from "./fleet.ts";

/**
 * `fairlead serve` and `fairlead agent` as processes of their own, with TLS and keys as they come, on folders and ports that stay the same. Its end kills
 * what still runs and fails when a process, a listener or a folder is left.
 */
export class FleetProcesses implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "fairlead-processes-"));
  readonly #pids: number[] = [];
  #apiAddress = "127.0.0.1:0";
  #agentsAddress = "127.0.0.1:0";
  #api: Fairlead | undefined;

  /** Where agents connect. */
  get agentsAddress(): string {
    return this.#agentsAddress;
  }

  /** Where people and services call. */
  get apiAddress(): string {
    return this.#apiAddress;
  }

  /** A client that repeats nothing. */
  get api(): Fairlead {
    this.#api ??= createFairlead({
      ...keyFileOf(this.#keyFile),
      server: `https://${this.#apiAddress}`,
      retry: { attempts: 1 },
    });
    return this.#api;
  }

  /** Asks for a plain page, such as /readyz. */
  page(path: string): Promise<Page> {
    return pageOf({ baseUrl: `https://${this.#apiAddress}`, ca: keyFileOf(this.#keyFile).ca }, path);
  }

  /** Starts the control plane, again where it was before, and waits until it listens. */
  async serve(): Promise<RunningProgram> {
    const listen = ["--api-listen", this.#apiAddress, "--agents-listen", this.#agentsAddress];
    const data = ["--data", join(this.folder, "server")];
    const serve = this.#started(startProgram(["serve", "--log-level", "debug", ...listen, ...data]));
    [, this.#apiAddress = ""] = await serve.until(/"api":"https:\/\/([^"]+)"/, "stderr");
    [, this.#agentsAddress = ""] = await serve.until(/"agents":"([^"]+)"/, "stderr");
    return serve;
  }

  /** Starts the agent of a simulated host, the first time with a token. */
  async agent(name: string, token = ""): Promise<RunningProgram> {
    const flags = ["--engine", "simulated", "--name", name, "--server", this.#agentsAddress];
    const data = ["--data", join(this.folder, name)];
    const environment = token === "" ? {} : { FAIRLEAD_TOKEN: token };
    return this.#started(startProgram(["agent", "--log-level", "debug", ...flags, ...data], environment));
  }

  /** Starts the agent of a new host, and waits until it is there. */
  async enrol(name: string): Promise<RunningProgram> {
    const { token } = await this.api.registrationTokens.createRegistrationToken({ description: name });
    const agent = await this.agent(name, token);
    await this.untilHost(name, ({ online, engineAvailable }) => online && engineAvailable);
    return agent;
  }

  /** Runs a command of the command line against this control plane. */
  run(...args: string[]): Promise<{ code: number | string; stdout: string; stderr: string }> {
    return runProgram(args, { FAIRLEAD_KEY_FILE: this.#keyFile });
  }

  /** The host, once it is as wanted. */
  untilHost(name: string, isWanted: (host: Host) => boolean): Promise<Host> {
    return eventually(
      async () => {
        const { hosts } = await this.api.hosts.listHosts({});
        return hosts.find((host) => host.name === name && isWanted(host));
      },
      `host ${name} is as wanted`,
      patienceMs,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#api?.close();
    await killPrograms();
    rmSync(this.folder, { recursive: true });
    assert.equal(existsSync(this.folder), false, "a folder is left");
    assert.deepEqual(this.#pids.filter(isAlive), [], "processes are left");
    for (const address of [this.#apiAddress, this.#agentsAddress]) {
      assert.equal(await isListening(address), false, `${address} is still listened on`);
    }
  }

  get #keyFile(): string {
    return join(this.folder, "server", "admin.key");
  }

  #started(program: RunningProgram): RunningProgram {
    if (program.child.pid !== undefined) this.#pids.push(program.child.pid);
    return program;
  }
}

/** What a process has logged so far. */
export function logOf({ written }: RunningProgram): LogLine[] {
  const whole = written.stderr.slice(0, written.stderr.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as LogLine);
}

/** Limits the size of the files that a process may write, as a disk that is full does; undefined: not any more. */
export function limitFiles({ child }: RunningProgram, bytes: number | undefined): void {
  const { status, stderr } = spawnSync("prlimit", [
    "--pid",
    `${child.pid}`,
    `--fsize=${bytes ?? "unlimited"}:unlimited`,
  ]);
  assert.equal(status, 0, stderr.toString());
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function isListening(address: string): Promise<boolean> {
  const [host, port] = address.split(":");
  if (port === "0") return false;
  const socket = connect(Number(port), host);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}
