import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { fencedBlocks, projectFolder, readPage } from "./docs/markdown.ts";
import { sharedCompileCache } from "./support/compile-cache.ts";
import { eventually } from "./support/control-plane-harness.ts";

const readme = readPage("README.md");
const blocks = fencedBlocks(readme);
const binaries = join(projectFolder, "node_modules/.bin");
const environment = { ...process.env, ...sharedCompileCache };

/** The addresses as the README prints them, and where the fleet of this test really is. */
interface Places {
  readonly api: string;
  readonly agents: string;
}

describe("README.md", function () {
  this.timeout(60_000);
  let folder: string;
  let up: ChildProcess;
  let places: Places;
  const groups: number[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "fairlead-readme-"));
    up = spawn(
      join(binaries, "node"),
      [join(projectFolder, "src/bin/fairlead.ts"), "up", "--engine", "simulated", ...listenAnywhere()],
      { stdio: ["ignore", "pipe", "inherit"], env: { ...environment, FAIRLEAD_DATA: join(folder, "data") } },
    );
    let output = "";
    up.stdout?.on("data", (data) => (output += data));
    places = await eventually(() => placesIn(output), "the fleet says that it is ready", 30_000);
  });

  after(async () => {
    for (const group of groups) endGroup(group);
    const ended = new Promise<number | null>((resolve) => up.on("exit", resolve));
    up.kill("SIGTERM");
    assert.equal(await ended, 0, "what `npm start` runs did not end cleanly");
    await rm(folder, { recursive: true, force: true });
  });

  it("starts with the command that package.json has for it", () => {
    const { scripts } = JSON.parse(readPage("package.json"));
    assert.equal(scripts.start, "node src/bin/fairlead.ts up");
    assert.ok(blocks.some(({ text, heading }) => heading === "Start" && text === "npm start\n"));
  });

  it("has examples for the command line, curl, gRPC and TypeScript", () => {
    const runnable = blocks.filter(({ language }) => language === "sh" || language === "ts");
    assert.deepEqual(
      runnable.map(({ heading }) => heading),
      ["The command line", "The command line", "curl", "gRPC", "TypeScript", "More hosts"],
    );
  });

  for (const { heading, language, text } of blocks) {
    if (language === "sh") {
      it(`"${heading}" can be run as it is printed`, async () => {
        const { code, output } = await runShell(text);
        assert.equal(code, 0, output);
      });
    }
    if (language === "ts") {
      it(`"${heading}" works as a module`, async () => {
        const source = join(projectFolder, "src/index.ts");
        const entry = pathToFileURL(source).href;
        const example = join(folder, "example.mts");
        await writeFile(example, inTest(text).replace('from "fairlead"', `from ${JSON.stringify(entry)}`));
        const { code, output } = await run(join(binaries, "node"), [example]);
        assert.equal(code, 0, output);
        assert.match(output, /^simulated\/web-1$/m);
        assert.match(output, /^(?:stopped|was stopped already) [0-9a-f-]{36}$/m);
      });
    }
  }

  it("shows hosts that the examples enrolled", async () => {
    await eventually(
      async () => {
        const { output } = await runShell("./fairlead hosts");
        return /^simulated +online/m.test(output) && /^edge-1 +online/m.test(output);
      },
      "both hosts are online",
      20_000,
    );
  });

  it("shows errors as they are", async () => {
    const transcript = blocks.find(({ text }) => text.startsWith("$ "))?.text ?? "";
    const [prompt = "", ...expected] = transcript.split("\n");
    const { code, output } = await runShell(prompt.slice(2));
    assert.equal(code, 1);
    assert.equal(output, expected.join("\n"));
  });

  /** The text as it is printed, but for where the fleet is. */
  function inTest(text: string): string {
    return text
      .replaceAll("https://127.0.0.1:7080", places.api)
      .replaceAll("./fairlead-data", join(folder, "data"))
      .replaceAll("127.0.0.1:7443", places.agents)
      .replaceAll("./edge-data", join(folder, "edge-data"));
  }

  function runShell(text: string): Promise<{ code: number | null; output: string }> {
    return run("sh", ["-e", "-c", inTest(text)]);
  }

  // In a process group of its own, so that what an example leaves running can be ended with it.
  async function run(command: string, args: readonly string[]) {
    const child = spawn(command, args, {
      cwd: projectFolder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...environment,
        PATH: [binaries, process.env["PATH"]].join(delimiter),
        FAIRLEAD_SERVER: places.api,
        FAIRLEAD_DATA: join(folder, "data"),
      },
    });
    if (child.pid !== undefined) groups.push(child.pid);
    let output = "";
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (output += data));
    // Not "close": a process that goes on in the background keeps the pipes.
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("exit", (exitCode) => setTimeout(resolve, 50, exitCode));
      child.on("error", reject);
    });
    return { code, output };
  }
});

function listenAnywhere(): string[] {
  return ["--api-listen", "127.0.0.1:0", "--agents-listen", "127.0.0.1:0"];
}

function placesIn(output: string): Places | undefined {
  const api = /^ +API +(\S+)/m.exec(output)?.[1];
  const agents = /^ +Agents +(\S+)/m.exec(output)?.[1];
  return api === undefined || agents === undefined || !output.includes("try next")
    ? undefined
    : { api, agents };
}

function endGroup(group: number): void {
  try {
    process.kill(-group, "SIGTERM");
  } catch {
    // All of it has ended by itself.
  }
}
