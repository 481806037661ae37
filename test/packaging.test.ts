import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));

describe("the npm package", function () {
  // The packages it needs come from the registry.
  this.timeout(300_000);
  let folder: string;
  let installed: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "fairlead-package-"));
    await run("npm", ["pack", "--pack-destination", folder], { cwd: root });
    const [tarball] = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
    assert.ok(tarball);
    const quiet = ["--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline"];
    await run("npm", ["install", "--global", "--prefix", folder, ...quiet, join(folder, tarball)], {
      cwd: folder,
    });
    installed = join(folder, "lib/node_modules/fairlead");
  });

  after(() => rm(folder, { recursive: true, force: true }));

  it("installs a `fairlead` that runs without the sources", async () => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const { stdout } = await run(join(folder, "bin/fairlead"), ["--version"], { cwd: folder });
    assert.equal(stdout.trim(), version);
  });

  it("gives a program its client and its types", async () => {
    const program = 'import { createFairlead } from "fairlead"; console.log(typeof createFairlead);';
    const importer = ["--input-type=module", "--eval", program];
    const { stdout } = await run(process.execPath, importer, { cwd: installed });
    assert.equal(stdout.trim(), "function");
    await readFile(join(installed, "dist/index.d.ts"), "utf8");
  });

  it("carries the schema and its licence, and neither sources nor tests", async () => {
    const names = await readdir(installed);
    for (const name of ["dist", "proto", "LICENSE", "README.md", "CHANGELOG.md"]) {
      assert.ok(names.includes(name), `${name} is missing`);
    }
    assert.deepEqual(
      names.filter((name) => ["src", "test", "scripts"].includes(name)),
      [],
    );
  });

  it("does not pull what only its developers need", async () => {
    const packages = await readdir(join(installed, "node_modules"));
    const tools = ["google-proto-files", "mocha", "node", "oxlint", "typescript", "@biomejs"];
    assert.deepEqual(
      packages.filter((name) => tools.includes(name)),
      [],
    );
  });
});
