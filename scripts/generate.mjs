// Makes src/gen from the schemas: ours in proto/, and those of others out of npm packages, without a network.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join, relative } from "node:path";
import { generatedFolder, generatedStamp, generationInputsDigest, includeFolder, root } from "./project.mjs";
import { validateProtoText } from "./validate-proto.mjs";

const foreignSchemas = {
  "google/rpc/code.proto": "google-proto-files/google/rpc/code.proto",
  "google/rpc/error_details.proto": "google-proto-files/google/rpc/error_details.proto",
  "google/rpc/status.proto": "google-proto-files/google/rpc/status.proto",
  "grpc/health/v1/health.proto": "grpc-health-check/proto/health/v1/health.proto",
  "grpc/reflection/v1/reflection.proto": "@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto",
  "grpc/reflection/v1alpha/reflection.proto":
    "@grpc/reflection/build/proto/grpc/reflection/v1alpha/reflection.proto",
};

const digest = generationInputsDigest();
const output = join(root, ".proto-cache", `output-${process.pid}`);
try {
  gatherForeignSchemas();
  buf("generate", "--output", output);
  writeFileSync(join(output, relative(root, generatedStamp)), `${digest}\n`);
  replaceGenerated();
} finally {
  rmSync(output, { recursive: true, force: true });
}
console.log("generate: made src/gen from the schemas");

function gatherForeignSchemas() {
  for (const [path, source] of Object.entries(foreignSchemas)) {
    writeSchema(path, readFileSync(join(root, "node_modules", source)));
  }
  writeSchema("buf/validate/validate.proto", validateProtoText());
}

// Written beside and renamed, so that another process never compiles half a file.
function writeSchema(path, text) {
  const target = join(includeFolder, path);
  mkdirSync(dirname(target), { recursive: true });
  const fresh = `${target}.${process.pid}`;
  writeFileSync(fresh, text);
  renameSync(fresh, target);
}

function buf(...args) {
  const bin = join(root, "node_modules/.bin");
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
  const { status, error } = spawnSync(join(bin, "buf"), args, { cwd: root, env, stdio: "inherit" });
  if (error) {
    throw error;
  }
  if (status !== 0) {
    console.error(`generate: buf ${args[0]} failed, src/gen is left as it was`);
    rmSync(output, { recursive: true, force: true });
    process.exit(1);
  }
}

function replaceGenerated() {
  mkdirSync(dirname(generatedFolder), { recursive: true });
  if (existsSync(generatedFolder)) {
    renameSync(generatedFolder, join(output, "replaced"));
  }
  renameSync(join(output, "src/gen"), generatedFolder);
}
