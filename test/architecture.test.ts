import assert from "node:assert/strict";
import * as rules from "./support/house-rules.ts";
import { parseSourceModule, readSourceModules, type SourceModule } from "./support/source-modules.ts";

interface Plant {
  readonly rule: rules.HouseRule;
  /** Files that keep the rule, although they come near. */
  readonly kept: Readonly<Record<string, string>>;
  /** Files each of which breaks the rule once. */
  readonly broken: Readonly<Record<string, string>>;
}

const plants: Readonly<Record<string, Plant>> = {
  "value imports follow the table of who may import whom": {
    rule: rules.layers,
    kept: {
      "src/control-plane/services/a.ts": 'import { b } from "../dispatch/b.ts";',
      "src/control-plane/session/a.ts": 'import type { B } from "../dispatch/b.ts";',
      "src/control-plane/control-plane.ts":
        'import { b } from "./config.ts"; import { c } from "./services/c.ts";',
      "src/agent/session/a.ts": 'import { b } from "../../gen/b_pb.js"; import { readFile } from "node:fs";',
    },
    broken: {
      "src/control-plane/session/a.ts": 'import { b } from "../dispatch/b.ts";',
      "src/control-plane/events/a.ts": 'export { b } from "../inventory/b.ts";',
      "src/control-plane/dispatch/a.ts": 'import { b } from "../control-plane.ts";',
      "src/agent/engine/a.ts": 'const b = await import("../execution/b.ts");',
      "src/domain/a.ts": 'import { type B } from "../rpc/b.ts";',
      "src/rpc/a.ts": 'import "../storage/b.ts";',
      "src/nowhere/a.ts": "export const a = 1;",
      "src/control-plane/nowhere/a.ts": "export const a = 1;",
    },
  },
  "agent and control plane know nothing of each other": {
    rule: rules.processesApart,
    kept: { "src/bin/a.ts": 'import { b } from "../agent/b.ts"; import { c } from "../control-plane/c.ts";' },
    broken: {
      "src/agent/a.ts": 'import type { B } from "../control-plane/b.ts";',
      "src/control-plane/a.ts": 'type B = import("../agent/b.ts").B;',
    },
  },
  "no value import leads back to where it came from": {
    rule: rules.noCycles,
    kept: {
      "src/domain/a.ts": 'import { b } from "./b.ts"; import { c } from "./c.ts";',
      "src/domain/b.ts": 'import { c } from "./c.ts"; import type { A } from "./a.ts";',
      "src/domain/c.ts": "export const c = 1;",
    },
    broken: { "src/domain/a.ts": 'import { a } from "./a.ts";' },
  },
  "only bin reads the environment and the arguments": {
    rule: rules.environmentInBin,
    kept: {
      "src/bin/a.ts": "process.env.A;",
      "src/cli/a.ts": 'import { pid } from "node:process"; process.stdout.write("");',
    },
    broken: {
      "src/cli/a.ts": "process.env.A;",
      "src/cli/b.ts": 'process["argv"];',
      "src/cli/c.ts": "const { env } = process;",
      "src/cli/d.ts": 'import { argv } from "node:process";',
    },
  },
  "Docker and the database are each known in one folder": {
    rule: rules.packagesInTheirFolder,
    kept: {
      "src/agent/engine/a.ts": 'import Docker from "dockerode";',
      "src/storage/a.ts": 'import { MikroORM } from "@mikro-orm/sqlite";',
    },
    broken: {
      "src/agent/execution/a.ts": 'import type Docker from "dockerode";',
      "src/control-plane/a.ts": 'import { MikroORM } from "@mikro-orm/sqlite";',
    },
  },
  "only rpc and the services know status codes": {
    rule: rules.statusCodes,
    kept: {
      "src/rpc/a.ts": 'import { status } from "@grpc/grpc-js";',
      "src/control-plane/services/a.ts": 'import { Code } from "@connectrpc/connect";',
      "src/cli/a.ts": 'import { ConnectError } from "@connectrpc/connect";',
    },
    broken: {
      "src/cli/a.ts": 'import { Code } from "@connectrpc/connect";',
      "src/agent/session/a.ts": 'import * as grpc from "@grpc/grpc-js";',
      "src/agent/session/b.ts": 'import { Code } from "../../gen/google/rpc/code_pb.js";',
    },
  },
  "generated messages are built only where messages are made": {
    rule: rules.generatedValues,
    kept: {
      "src/control-plane/services/a.ts": 'import { create } from "@bufbuild/protobuf";',
      "src/agent/execution/operations/a.ts": 'import { create } from "@bufbuild/protobuf";',
      "src/control-plane/dispatch/a.ts": 'import { BState } from "../../gen/b_pb.js";',
    },
    broken: { "src/control-plane/dispatch/a.ts": 'import { create } from "@bufbuild/protobuf";' },
  },
  "exports are named": {
    rule: rules.noDefaultExports,
    kept: { "src/cli/a.ts": "export const a = 1;" },
    broken: {
      "src/cli/a.ts": "export default 1;",
      "src/cli/b.ts": "const b = 1; export { b as default };",
    },
  },
  "no file has more than 400 lines": {
    rule: rules.fileSize,
    kept: { "src/cli/a.ts": "a();\n".repeat(400) },
    broken: { "src/cli/a.ts": "a();\n".repeat(401) },
  },
  "no file is a barrel or has a name that says nothing": {
    rule: rules.noCatchAlls,
    kept: {
      "src/index.ts": 'export { a } from "./agent/a.ts";',
      "src/cli/a.ts": 'export { b } from "./b.ts"; export const a = 1;',
    },
    broken: {
      "src/cli/utils.ts": "export const a = 1;",
      "src/rpc/helpers/a.ts": "export const a = 1;",
      "src/rpc/index.ts": "export const a = 1;",
      "src/rpc/a.ts": 'export * from "./b.ts";',
    },
  },
};

describe("the house", () => {
  let modules: readonly SourceModule[];

  before(() => {
    modules = readSourceModules("src", "test", "scripts");
  });

  for (const [title, { rule, kept, broken }] of Object.entries(plants)) {
    it(title, () => {
      assert.deepEqual(rule(modules), []);
    });

    it(`${title}: what comes near is not refused`, () => {
      assert.deepEqual(rule(parseAll(kept)), []);
    });

    for (const [path, text] of Object.entries(broken)) {
      it(`${title}: is seen to be broken by ${path}: ${firstWords(text)}`, () => {
        const faults = rule([parseSourceModule(path, text)]);
        assert.equal(faults.length, 1);
        assert.ok(faults[0]?.startsWith(path), faults[0]);
      });
    }
  }

  it("finds a planted cycle of three files, and names its way", () => {
    const planted = parseAll({
      "src/domain/a.ts": 'import { b } from "./b.ts";',
      "src/domain/b.ts": 'export * from "./c.ts";',
      "src/domain/c.ts": 'import { a } from "./a.ts";',
    });
    assert.deepEqual(rules.noCycles(planted), [
      "src/domain/a.ts -> src/domain/b.ts -> src/domain/c.ts -> src/domain/a.ts",
    ]);
  });

  it("reads our own files, and none that is generated", () => {
    const paths = modules.map(({ path }) => path);
    assert.ok(paths.includes("test/architecture.test.ts"));
    assert.ok(!paths.some((path) => path.startsWith("src/gen/")));
  });
});

function parseAll(sources: Readonly<Record<string, string>>) {
  return Object.entries(sources).map(([path, text]) => parseSourceModule(path, text));
}

function firstWords(text: string): string {
  return text.length > 80 ? `${text.slice(0, text.indexOf("\n"))} …` : text;
}
