import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { glob, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "../support/control-plane-harness.ts";

const root = join(import.meta.dirname, "../..");
const sources = join(import.meta.dirname, "python-agent");
const needs = "import grpc, google.protobuf, cryptography";
const debianPackages = "python3-grpcio python3-protobuf python3-cryptography protobuf-compiler";

/** What the Python agent says happened. */
export interface PythonLogLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A Python that can run the agent, with the schema compiled for it. To be disposed of. */
export interface PythonToolchain extends AsyncDisposable {
  readonly python: string;
  readonly modulePath: string;
}

/** Compiles the schema for Python as an author of an agent would. Resolves with what is missing, in words, where it cannot. */
export async function pythonToolchain(): Promise<PythonToolchain | string> {
  const python = ["/usr/bin/python3", "python3"].find((command) => succeeds(command, ["-c", needs]));
  if (python === undefined || !succeeds("protoc", ["--version"])) {
    return `python3 with grpcio, protobuf and cryptography, or protoc (Debian: apt-get install ${debianPackages})`;
  }
  const folder = await mkdtemp(join(tmpdir(), "fairlead-python-"));
  const image = join(folder, "schema.binpb");
  const generated = join(folder, "generated");
  await mkdir(generated);
  run(join(root, "node_modules/.bin/buf"), ["build", "--as-file-descriptor-set", "-o", image], root);
  const schema = await Array.fromAsync(glob("**/*.proto", { cwd: join(root, "proto") }));
  const others = ["buf/validate/validate.proto", "google/rpc/status.proto", "google/rpc/error_details.proto"];
  run("protoc", [`--descriptor_set_in=${image}`, `--python_out=${generated}`, ...others, ...schema], folder);
  return {
    python,
    modulePath: [generated, sources].join(delimiter),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** One process of the Python agent. */
export class PythonAgent implements AsyncDisposable {
  readonly lines: PythonLogLine[] = [];
  /** Resolves with the exit code. */
  readonly exited: Promise<number | null>;
  readonly #process: ChildProcessWithoutNullStreams;
  #errors = "";

  constructor(toolchain: PythonToolchain, options: Readonly<Record<string, string>>) {
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    this.#process = spawn(toolchain.python, [join(sources, "agent.py"), ...args], {
      env: { ...process.env, PYTHONPATH: toolchain.modulePath, PYTHONDONTWRITEBYTECODE: "1" },
    });
    this.#process.stderr.on("data", (data) => (this.#errors += data));
    createInterface(this.#process.stdout).on("line", (line) => this.lines.push(JSON.parse(line)));
    this.exited = new Promise((resolve) => this.#process.on("close", resolve));
  }

  /** Waits for something that it tells of. Rejects with what it wrote on standard error when it ends first. */
  async told(event: string, count = 1): Promise<PythonLogLine> {
    const what = `the Python agent tells of ${event}, ${count} times`;
    return eventually(() => this.#found(event, count, what), what, 20_000);
  }

  /** Tells it what to do. */
  order(line: string): void {
    this.#process.stdin.write(`${line}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.exited;
  }

  #found(event: string, count: number, what: string): PythonLogLine | undefined {
    const found = this.lines.filter((line) => line.event === event)[count - 1];
    if (found === undefined && this.#process.exitCode !== null && this.#process.stdout.readableEnded) {
      throw new Error(`it ended with code ${this.#process.exitCode} before ${what}: ${this.#errors}`);
    }
    return found;
  }
}

function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr}`);
}
