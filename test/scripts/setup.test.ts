import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { appendFile, cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

interface Outcome {
  readonly exitCode: number;
  readonly output: string;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const generatedPath = "src/gen/fairlead/container/v1/container_pb.js";
const nothingToDo = "setup: all is there, nothing to do\n";

describe("scripts/setup.mjs", function () {
  this.timeout(60_000);
  let project: string;

  // A project of its own, so that what this one has generated stays as it is; the packages are shared.
  before(async () => {
    project = await mkdtemp(join(tmpdir(), "fairlead-setup-"));
    const inputs = ["scripts", "proto", "buf.yaml", "buf.gen.yaml", "package.json", "package-lock.json"];
    await Promise.all(inputs.map((path) => cp(join(root, path), join(project, path), { recursive: true })));
    await symlink(join(root, "node_modules"), join(project, "node_modules"));
  });

  after(() => rm(project, { recursive: true, force: true }));

  it("generates what is missing, and then does nothing", async () => {
    const first = await setUp(project);
    assert.equal(first.exitCode, 0, first.output);
    assert.match(first.output, /^setup: generating src\/gen from proto\/$/m);
    assert.match(await readFile(join(project, generatedPath), "utf8"), /ContainerSchema/);

    assert.deepEqual(await setUp(project), { exitCode: 0, output: nothingToDo });
  });

  it("works for less than a second when all is there", async () => {
    await setUp(project);
    // The time of the processor: how long it takes depends on what else the machine does.
    const { output } = await execute(
      "sh",
      ["-c", '"$0" scripts/setup.mjs; times', process.execPath],
      project,
    );
    const [, user = "", system = ""] = /^.*\n.*\n0m([\d.]+)s 0m([\d.]+)s\n$/.exec(output) ?? [];
    assert.ok(output.startsWith(nothingToDo), output);
    assert.ok(Number.parseFloat(user) + Number.parseFloat(system) < 1, output);
  });

  it("generates again when a schema has changed", async () => {
    await setUp(project);
    const schema = join(project, "proto/fairlead/container/v1/container.proto");
    await appendFile(schema, "\n// Planted.\nmessage Planted {}\n");
    const { output } = await setUp(project);
    assert.match(output, /generating/);
    assert.match(await readFile(join(project, generatedPath), "utf8"), /PlantedSchema/);
  });

  it("keeps the generated code when a schema is wrong, and says that it is", async () => {
    await setUp(project);
    const before = await readFile(join(project, generatedPath), "utf8");
    const broken = join(project, "proto/broken.proto");
    await writeFile(broken, "this is no schema");
    const { exitCode, output } = await setUp(project);
    await rm(broken);

    assert.equal(exitCode, 1);
    assert.match(output, /broken\.proto/);
    assert.match(output, /the generation of src\/gen failed/);
    assert.equal(await readFile(join(project, generatedPath), "utf8"), before);
  });

  it("is done once by three that start together, also after one that died in the middle", async () => {
    await rm(join(project, "src/gen"), { recursive: true, force: true });
    await writeFile(join(project, ".setup.lock"), `${await idOfEndedProcess()}`);
    const outcomes = await Promise.all([setUp(project), setUp(project), setUp(project)]);

    assert.deepEqual(
      outcomes.map(({ exitCode }) => exitCode),
      [0, 0, 0],
    );
    assert.equal(outcomes.filter(({ output }) => output.includes("generating")).length, 1);
    assert.deepEqual(await setUp(project), { exitCode: 0, output: nothingToDo });
  });
});

function setUp(project: string): Promise<Outcome> {
  return execute(process.execPath, ["scripts/setup.mjs"], project);
}

function execute(command: string, args: readonly string[], cwd: string): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd }, (error, stdout, stderr) => {
      resolve({ exitCode: error ? Number(error.code) : 0, output: stdout + stderr });
    });
  });
}

function idOfEndedProcess(): Promise<number> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, ["--version"], () => resolve(child.pid ?? 0));
  });
}
