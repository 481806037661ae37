// Makes a fresh clone ready: installs what package-lock.json names and generates src/gen, each only when needed.
// npm runs it before `start`, `test`, `check` and `build`, the first time with whatever Node the machine has
// (20 or newer), because the Node 24 of this project is itself one of the packages.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { generatedStamp, generationInputsDigest, root } from "./project.mjs";
import { withSetupLock } from "./setup-lock.mjs";

const installOnly = process.argv.includes("--install-only");
const modules = join(root, "node_modules");
const ownNode = join(modules, ".bin/node");

if (isReady()) {
  console.log("setup: all is there, nothing to do");
} else {
  await withSetupLock(setUp);
}

function setUp() {
  if (!isInstalled()) {
    console.log("setup: installing the packages of package-lock.json (npm ci)");
    install();
  }
  if (!installOnly && !isGenerated()) {
    console.log("setup: generating src/gen from proto/");
    run(ownNode, ["scripts/generate.mjs"], "the generation of src/gen failed; its errors stand above");
  }
}

function isReady() {
  return isInstalled() && (installOnly || isGenerated());
}

// npm writes the hidden lockfile as the last step of an install, so one that agrees means a whole install.
function isInstalled() {
  const installed = packagesOf(join(modules, ".package-lock.json"));
  const wanted = packagesOf(join(root, "package-lock.json"));
  if (!installed || !wanted || !existsSync(ownNode)) {
    return false;
  }
  return Object.entries(wanted).every(([path, entry]) => {
    const present = installed[path];
    const isThisProject = path === "";
    return isThisProject || (present ? present.integrity === entry.integrity : entry.optional === true);
  });
}

function packagesOf(lockfile) {
  try {
    return JSON.parse(readFileSync(lockfile, "utf8")).packages;
  } catch {
    return undefined;
  }
}

function isGenerated() {
  try {
    return readFileSync(generatedStamp, "utf8").trim() === generationInputsDigest();
  } catch {
    return false;
  }
}

function install() {
  const [command, ...prefix] = hostNpm();
  // Scripts are asked for explicitly: without that of the package `node` there is no Node 24.
  const options = ["--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts=false", "--include=dev"];
  run(
    command,
    [...prefix, "ci", ...options],
    "npm ci failed; its errors stand above (is the npm registry reachable?)",
  );
  if (!existsSync(ownNode)) {
    fail(
      "npm ci ended without Node 24 in node_modules/.bin (does the package `node` support this platform?)",
    );
  }
}

// An install replaces node_modules/.bin/node, so it must not itself run on that.
function hostNpm() {
  const { npm_execpath: npm, npm_node_execpath: node } = process.env;
  if (npm && node && /npm-cli\.c?js$/.test(npm) && !node.startsWith(modules)) {
    return [node, npm];
  }
  return ["npm"];
}

function run(command, args, failure) {
  const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.startsWith(modules));
  const env = { ...process.env, PATH: path.join(delimiter) };
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: "inherit" });
  if (error || status !== 0) {
    fail(error ? `${failure}: ${error.message}` : failure);
  }
}

function fail(message) {
  throw Object.assign(new Error(message), { name: "SetupError" });
}
