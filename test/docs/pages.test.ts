import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { defaultApiLimits } from "../../src/rpc/api-limits.ts";
import { defaultHttpPatience } from "../../src/rpc/http-port.ts";
import { http2Limits } from "../../src/rpc/http2-guard.ts";
import { projectFolder, readPage, section, tableRows } from "./markdown.ts";

const pages = [
  "README.md",
  "CHANGELOG.md",
  "docs/architecture.md",
  "docs/glossary.md",
  "docs/host-policy.md",
  "docs/operations.md",
  "docs/protocol.md",
];

describe("pages", () => {
  for (const path of pages) {
    it(`${path} links only to what is there`, () => {
      const links = [...readPage(path).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)];
      for (const [link, target = "", anchor] of links) {
        const linked = target === "" ? path : join(dirname(path), target);
        assert.ok(existsSync(join(projectFolder, linked)), `${link}: there is no ${linked}`);
        if (anchor === undefined) continue;
        assert.ok(anchorsOf(readPage(linked)).includes(anchor), `${link}: no heading in ${linked}`);
      }
    });

    it(`${path} names only files that are there`, () => {
      const named = readPage(path).matchAll(/`((?:src|test|proto|scripts|docs)\/[\w./-]*)`/g);
      for (const [, file = ""] of named) {
        // Made by `npm run generate`, which a reader may not have run.
        if (file === "src/gen") continue;
        assert.ok(existsSync(join(projectFolder, file)), `there is no ${file}`);
      }
    });
  }

  it("docs/architecture.md gives every folder of the house its row", () => {
    const rows = tableRows(readPage("docs/architecture.md")).map(([folder]) => folder);
    for (const folder of ["bin", "cli", "client", "control-plane", "agent", "rpc", "storage"]) {
      assert.ok(rows.includes(`src/${folder}`), `no row for src/${folder}`);
    }
  });
});

describe("docs/operations.md", () => {
  for (const command of ["up", "serve", "agent"]) {
    it(`lists every setting of \`fairlead ${command}\``, () => {
      const stdout = helpOf(command);
      const all = [...stdout.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, flag]) => flag);
      // It asks for something else to be done, and sets nothing.
      const flags = all.filter((flag) => flag !== "--doctor");
      const variables = [...stdout.matchAll(/env:\s+(FAIRLEAD_[A-Z_]+)/g)].map(([, variable]) => variable);
      assert.ok(flags.length >= 4 && variables.length >= 4, stdout);
      const rows = tableRows(section(readPage("docs/operations.md"), "## Settings")).filter(
        ([, , , where]) => where === "all" || where?.split(", ").includes(command),
      );
      assert.deepEqual(new Set(rows.map(([flag]) => flag)), new Set(flags));
      assert.deepEqual(new Set(rows.map(([, variable]) => variable)), new Set(variables));
    });
  }

  it("states the limits that the API is really held to, and so does the command line", () => {
    const { callsPerSecond, callBurst, maxOpenCalls, maxOpenPublicCalls } = defaultApiLimits;
    const patience = defaultHttpPatience;
    assert.equal(patience.firstBytesMs, patience.headMs);
    const page = readPage("docs/operations.md");
    const limits = section(page, "## Limits of the API");
    for (const words of [
      `${count(callsPerSecond)} a second (\`--api-rate\`)`,
      `${count(callBurst)} (\`--api-burst\`)`,
      `${count(maxOpenCalls)} (\`--api-max-calls\`)`,
      `${count(maxOpenPublicCalls)}, and of one address`,
      `${count(http2Limits.settings.maxConcurrentStreams)} | they wait at the client`,
      `${count(http2Limits.streamResetBurst)} at once, ${http2Limits.streamResetRate} a second`,
      `${http2Limits.settings.maxHeaderListSize / 1_024} KiB | 431`,
      `the head of a request | ${patience.headMs / 1_000} s each`,
      `no stream | ${patience.requestMs / 60_000} minutes`,
      `waits for it | ${patience.slowClientMs / 60_000} minutes`,
      `without a call | ${patience.idleMs / 60_000} minutes`,
    ]) {
      assert.ok(limits.includes(words), `not in the table: ${words}`);
    }
    const rows = tableRows(section(page, "## Settings"));
    const help = helpOf("serve").replaceAll(/\s+/g, " ");
    for (const [flag, number] of [
      ["--api-rate", callsPerSecond],
      ["--api-burst", callBurst],
      ["--api-max-calls", maxOpenCalls],
    ] as const) {
      assert.ok(
        rows.some(([name, , standard]) => name === flag && standard === `${number}`),
        flag,
      );
      assert.match(help, new RegExp(`${flag} <calls> [^(]*\\(default: ${number}\\)`), flag);
    }
  });
});

function count(number: number): string {
  return number.toLocaleString("en-US");
}

function helpOf(command: string): string {
  const program = ["src/bin/fairlead.ts", command, "--help"];
  return spawnSync(process.execPath, program, { cwd: projectFolder, encoding: "utf8" }).stdout;
}

function anchorsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .trim()
      .replace(/\s/g, "-"),
  );
}
