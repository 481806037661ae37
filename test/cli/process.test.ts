import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { closeApis, nowMs, serveAnswers } from "./command-line.ts";
import { containerOf } from "./containers.ts";
import { killPrograms, runProgram, startProgram } from "./process.ts";

const run = promisify(execFile);
const anyPorts = ["--api-listen", "127.0.0.1:0", "--agents-listen", "127.0.0.1:0"];

describe("the program as a process", function () {
  this.timeout(60_000);
  let data: string;

  beforeEach(() => {
    data = mkdtempSync(join(tmpdir(), "fairlead-process-"));
  });
  afterEach(async () => {
    await killPrograms();
    await closeApis();
    rmSync(data, { recursive: true });
  });

  it("ends with 0, 1 or 2, with no colours in a pipe", async () => {
    const containers = {
      listContainers: () => ({ containers: [containerOf()], asOfTime: timestampFromMs(nowMs) }),
    };
    const env = { FAIRLEAD_SERVER: await serveAnswers({ containers }) };
    const [good, bad, wrong] = await Promise.all([
      runProgram(["ps"], env),
      runProgram(["ps"], { FAIRLEAD_SERVER: "127.0.0.1:1" }),
      runProgram(["ps", "--wrong"], env),
    ]);
    assert.deepEqual([good.code, bad.code, wrong.code], [0, 1, 2]);
    assert.match(good.stdout, /^HOST .*\nweb-1 /);
    assert.ok(!good.stdout.includes("\u001b"));
    assert.match(bad.stderr, /SERVER_UNREACHABLE/);
  });

  it("uses colours on a terminal", async () => {
    const containers = { listContainers: () => ({ containers: [containerOf()] }) };
    const server = await serveAnswers({ containers });
    const program = new URL("../../src/bin/fairlead.ts", import.meta.url).pathname;
    // The server lives in this process, so nothing here may block.
    const line = `${process.execPath} ${program} ps --server ${server}`;
    const { stdout } = await run("script", ["-qec", line, "/dev/null"], {
      env: { TERM: "xterm" },
      timeout: 20_000,
    });
    assert.ok(stdout.includes("\u001b[32mUp "), stdout);
  });

  it("S18 Ctrl-C ends a stream with 0", async () => {
    const events = {
      async *watchEvents(_request: unknown, { signal }: { signal: AbortSignal }) {
        yield { cursor: 4n, event: { sequence: 4n } };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    };
    const stream = startProgram(["events", "--follow", "--server", await serveAnswers({ events })]);
    await stream.until(/#4/);
    stream.child.kill("SIGINT");
    assert.equal(await stream.ended(), 0);
  });

  it("up enrols this machine, shows its containers, ends at Ctrl-C, and is the same host at the next start", async () => {
    const hosts: string[] = [];
    for (const start of [1, 2]) {
      const up = startProgram(["up", "--engine", "simulated", "--data", data, ...anyPorts]);
      const [, api = ""] = await up.until(/API +(http:\S+)/);
      await up.until(/What to try next/);
      assert.match(up.written.stdout, /Fairlead is ready[\s\S]*SIMULATED[\s\S]*CONTAINER ID[\s\S]*web-1/);
      const { stdout } = await runProgram(["hosts", "--json"], { FAIRLEAD_SERVER: api });
      hosts.push(...(JSON.parse(stdout) as { id: string }[]).map(({ id }) => id));
      const { stdout: tokens } = await runProgram(["token", "ls", "--json"], { FAIRLEAD_SERVER: api });
      assert.equal((JSON.parse(tokens) as unknown[]).length, 1, `start ${start}`);
      up.child.kill("SIGINT");
      assert.equal(await up.ended(), 0, up.written.stderr);
    }
    assert.equal(new Set(hosts).size, 1);
    assert.equal(hosts.length, 2);
  });

  it("the lines that up prints to try next work as they are printed", async () => {
    const up = startProgram(["up", "--engine", "simulated", "--data", data, ...anyPorts]);
    const [, steps = ""] = await up.until(/What to try next, in another terminal:\n((?: {2}.*\n)+)/);
    const lines = steps
      .trim()
      .split("\n")
      .map((line) => line.trim());
    for (const line of lines.filter((text) => !text.includes("--follow"))) {
      const root = new URL("../..", import.meta.url).pathname;
      await run("sh", ["-c", line], { cwd: root, timeout: 20_000 });
    }
    assert.equal(lines.length, 6);
    up.child.kill("SIGTERM");
    assert.equal(await up.ended(), 0);
  });

  it("serve and agent work as two processes, and the log is JSON in a pipe", async () => {
    const serve = startProgram(["serve", "--data", join(data, "server"), ...anyPorts]);
    const [, api = ""] = await serve.until(/"api":"(http:[^"]+)"/, "stderr");
    const [, agents = ""] = await serve.until(/"agents":"([^"]+)"/, "stderr");
    const token = (await runProgram(["token", "create", "--server", api])).stdout.trim();
    const agentFlags = [
      "agent",
      "--engine",
      "simulated",
      "--server",
      agents,
      "--data",
      data,
      "--name",
      "north",
    ];
    const agent = startProgram(agentFlags, { FAIRLEAD_TOKEN: token });
    await serve.until(/"msg":"(online|session opened)"/, "stderr");
    assert.match((await runProgram(["ps", "--server", api])).stdout, /^north /m);
    for (const program of [agent, serve]) {
      program.child.kill("SIGTERM");
      assert.equal(await program.ended(), 0, program.written.stderr);
      for (const line of program.written.stderr.trimEnd().split("\n")) {
        assert.equal(typeof (JSON.parse(line) as { msg: unknown }).msg, "string");
      }
    }
    assert.equal(readFileSync(join(data, "agent-simulated", "agent.json"), "utf8").includes(token), false);
  });

  it("an agent without an identity says that it needs a token, one with a wrong token why it is refused", async () => {
    const flags = ["agent", "--engine", "simulated", "--data", data];
    const without = await runProgram(flags);
    assert.equal(without.code, 1);
    assert.match(without.stderr, /^fairlead: agent: token is needed.*\(INVALID_ARGUMENT\)/m);
    const serve = startProgram(["serve", "--data", join(data, "server"), ...anyPorts]);
    const [, agents = ""] = await serve.until(/"agents":"([^"]+)"/, "stderr");
    const wrong = await runProgram([...flags, "--server", agents, "--token", `fl1.none.${"x".repeat(43)}`]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /UNAUTHENTICATED/);
  });

  it("says which address is taken and what to do, and leaves nothing running", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
    for (const flag of ["--api-listen", "--agents-listen"]) {
      const { code, stdout, stderr } = await runProgram(["up", "--data", data, ...anyPorts, flag, address]);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, new RegExp(`^fairlead: ${address} is in use by another program.*--api-listen`));
    }
    taken.close();
  });

  it("refuses addresses that others can reach, while there is neither TLS nor keys", async () => {
    for (const flag of ["--api-listen", "--agents-listen"]) {
      const { code, stderr } = await runProgram(["serve", "--data", data, ...anyPorts, flag, "0.0.0.0:0"]);
      assert.equal(code, 1);
      assert.match(stderr, /^fairlead: .*neither TLS nor keys yet.*\(INVALID_ARGUMENT\)/);
    }
  });
});
