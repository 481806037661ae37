import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";
import { giveUp } from "./docker.ts";

/** A Docker Engine of the test's own, which it may stop, kill and start again. It has no network, and is kept apart from the machine's own. */
export interface PrivateEngine {
  readonly socketPath: string;
  /** For arranging and verifying. */
  readonly docker: Docker;
  /** Starts it, again on the same data, and waits until it answers. */
  start(): Promise<void>;
  /** Asks it to end, as `systemctl stop docker` does, and waits. */
  stop(): Promise<void>;
  /** Ends it with SIGKILL, and the containerd that it started, and waits. Its containers' processes may live on. */
  kill(): Promise<void>;
  /** Ends it and removes its data. To be called in the test's end. */
  dispose(): Promise<void>;
}

const startWithinMs = 30_000;
const stopWithinMs = 20_000;

/** Starts one. Skips the test where that is impossible: it needs root and dockerd. */
export async function startPrivateEngine(context: Mocha.Context): Promise<PrivateEngine> {
  if (
    process.getuid?.() !== 0 ||
    !["/usr/sbin/dockerd", "/usr/bin/dockerd"].some((path) => existsSync(path))
  ) {
    return giveUp(context, "a private Docker Engine needs root and dockerd");
  }
  const folder = await mkdtemp(join(tmpdir(), "fairlead-engine-"));
  const engine = new PrivateDockerd(folder);
  try {
    await engine.start();
  } catch (error) {
    await engine.dispose();
    throw error;
  }
  return engine;
}

class PrivateDockerd implements PrivateEngine {
  readonly socketPath: string;
  readonly docker: Docker;
  readonly #folder: string;
  #process: ChildProcess | undefined;
  #log = "";

  constructor(folder: string) {
    this.#folder = folder;
    this.socketPath = join(folder, "docker.sock");
    this.docker = new Docker({ socketPath: this.socketPath });
  }

  async start(): Promise<void> {
    await mkdir(join(this.#folder, "exec"), { recursive: true });
    this.#log = "";
    // In namespaces of its own: a dockerd without a bridge deletes the machine's docker0, which is another engine's, and one
    // that is killed leaves its mounts behind.
    const command = ["--net", "--mount", "dockerd", ...this.#flags()];
    const child = spawn("unshare", command, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    const keep = (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-8192);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (error) => keep(Buffer.from(error.message)));
    const deadline = Date.now() + startWithinMs;
    while (!(await this.#answers())) {
      if (Date.now() > deadline || child.exitCode !== null) {
        throw new Error(`the private Docker Engine did not start:\n${this.#log}`);
      }
      await delay(100);
    }
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
    await this.#endContainerd();
  }

  async dispose(): Promise<void> {
    await this.#end("SIGTERM");
    await this.#endContainerd();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  #flags(): string[] {
    return [
      `--host=unix://${this.socketPath}`,
      `--data-root=${join(this.#folder, "data")}`,
      `--exec-root=${join(this.#folder, "exec")}`,
      `--pidfile=${join(this.#folder, "dockerd.pid")}`,
      "--bridge=none",
      "--iptables=false",
      "--storage-driver=vfs",
    ];
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
      return;
    }
    const ended = once(child, "exit");
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), stopWithinMs);
    await ended;
    clearTimeout(timer);
  }

  /** A dockerd that was killed may leave the containerd that it started, and a file that keeps the next from its own. */
  async #endContainerd(): Promise<void> {
    const file = join(this.#folder, "exec", "containerd", "containerd.pid");
    const pid = Number.parseInt(await readIfThere(file), 10);
    const isOurs = async () => (await readIfThere(`/proc/${pid}/cmdline`)).includes(this.#folder);
    if (await isOurs()) {
      process.kill(pid, "SIGKILL");
      const deadline = Date.now() + stopWithinMs;
      while ((await isOurs()) && Date.now() < deadline) {
        await delay(20);
      }
    }
    await rm(file, { force: true });
  }

  async #answers(): Promise<boolean> {
    return this.docker.ping().then(
      () => true,
      () => false,
    );
  }
}

async function readIfThere(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
