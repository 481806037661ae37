// Everything that can be said about the project without running it, in one command. All checks run, so that one
// run shows all that is wrong.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { includeFolder, root } from "./project.mjs";

const failed = [];
check("format", "biome", "format", ".");
check("lint", "oxlint", "--type-aware", "--deny-warnings", "--report-unused-disable-directives");
check("types", "tsc", "--project", ".");
check("schema format", "buf", "format", "--diff", "--exit-code", "proto");
check("schema lint", "buf", "lint");
checkSchemaAgainstMain();
check("architecture", "mocha", "test/architecture.test.ts");

if (failed.length > 0) {
  console.error(`check: failed: ${failed.join(", ")}`);
  process.exitCode = 1;
} else {
  console.log("check: all is well");
}

function check(name, command, ...args) {
  console.log(`check: ${name}`);
  const bin = join(root, "node_modules/.bin", command);
  const { status, error } = spawnSync(bin, args, { cwd: root, stdio: "inherit" });
  if (error) {
    console.error(error.message);
  }
  if (status !== 0) {
    failed.push(name);
  }
}

// main has no generated includes, so its schema is laid beside a copy of ours.
function checkSchemaAgainstMain() {
  const main = ["origin/main", "main"].find((ref) => git("rev-parse", "--quiet", "--verify", `${ref}:proto`));
  if (main === undefined) {
    console.log("check: schema against main: skipped, there is no main with a schema");
    return;
  }
  const cache = join(root, ".proto-cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "main-"));
  try {
    const archive = join(folder, "main.tar");
    git("archive", "--output", archive, main, "proto");
    spawnSync("tar", ["-xf", archive, "-C", folder], { stdio: "inherit" });
    cpSync(join(root, "buf.yaml"), join(folder, "buf.yaml"));
    cpSync(includeFolder, join(folder, ".proto-cache/include"), { recursive: true });
    check(`schema against ${main}`, "buf", "breaking", ".", "--against", folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function git(...args) {
  return existsSync(join(root, ".git")) && spawnSync("git", args, { cwd: root }).status === 0;
}
