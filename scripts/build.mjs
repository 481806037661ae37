// Makes dist/, which is what npm publishes: JavaScript and types of src/, and the generated code beside them.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { generatedFolder, generatedStamp, root } from "./project.mjs";

const output = join(root, "dist");
const binary = join(output, "bin/fairlead.js");

rmSync(output, { recursive: true, force: true });
const compiler = join(root, "node_modules/.bin/tsc");
const { status } = spawnSync(compiler, ["--project", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
if (status !== 0) {
  console.error("build: the compiler found errors, dist/ is not complete");
  process.exit(1);
}
cpSync(generatedFolder, join(output, "gen"), {
  recursive: true,
  filter: (source) => source !== generatedStamp,
});
if (existsSync(binary)) {
  chmodSync(binary, 0o755);
}
console.log("build: made dist/ from src/");
