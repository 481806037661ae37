// What the scripts agree on: where things lie, and what the generated code depends on. Runs on Node 20.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds package.json. */
export const root = fileURLToPath(new URL("..", import.meta.url));
/** Where the generated code goes. */
export const generatedFolder = join(root, "src/gen");
/** Holds the digest of the inputs from which the generated code was made. */
export const generatedStamp = join(generatedFolder, ".inputs.sha256");
/** The schemas of others, gathered from npm packages; the second module of buf.yaml. */
export const includeFolder = join(root, ".proto-cache/include");

/** A digest over everything that decides what the generated code looks like. */
export function generationInputsDigest() {
  const hash = createHash("sha256");
  for (const path of generationInputs()) {
    hash
      .update(`${relative(root, path)}\0`)
      .update(readFileSync(path))
      .update("\0");
  }
  return hash.digest("hex");
}

function generationInputs() {
  const proto = join(root, "proto");
  const schemas = existsSync(proto)
    ? readdirSync(proto, { recursive: true })
        .filter((path) => path.endsWith(".proto"))
        .toSorted()
        .map((path) => join(proto, path))
    : [];
  const tools = ["buf.yaml", "buf.gen.yaml", "scripts/generate.mjs", "scripts/validate-proto.mjs"];
  const packages = [
    "@bufbuild/protoc-gen-es",
    "@bufbuild/protovalidate",
    "@grpc/reflection",
    "google-proto-files",
  ];
  return [
    ...tools.map((path) => join(root, path)),
    ...packages.map((name) => join(root, "node_modules", name, "package.json")),
    ...schemas,
  ];
}
