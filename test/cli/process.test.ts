import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
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
      const [, api = ""] = await up.until(/API +(https:\S+)/);
      await up.until(/What to try next/);
      assert.match(up.written.stdout, /Fairlead is ready[\s\S]*SIMULATED[\s\S]*CONTAINER ID[\s\S]*web-1/);
      const { stdout } = await runProgram(["hosts", "--json"], { FAIRLEAD_SERVER: api, FAIRLEAD_DATA: data });
      hosts.push(...(JSON.parse(stdout) as { id: string }[]).map(({ id }) => id));
      const { stdout: tokens } = await runProgram(["token", "ls", "--json"], {
        FAIRLEAD_SERVER: api,
        FAIRLEAD_DATA: data,
      });
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
    assert.equal(lines.length, 9);
    // One after the other in one shell, as a person does it; what wants a terminal gets one, and a person who leaves it.
    const script = lines
      .filter((text) => !text.includes("--follow"))
      .map((text) => (text.includes(" -it ") ? `echo exit | script -qec '${text}' /dev/null` : text))
      .join("\n");
    const root = new URL("../..", import.meta.url).pathname;
    const { stdout } = await run("sh", ["-e", "-c", script], { cwd: root, timeout: 40_000 });
    assert.equal(stdout.match(/"name": ?"web-1"/g)?.length, 2, stdout);
    up.child.kill("SIGTERM");
    assert.equal(await up.ended(), 0);
  });

  it("serve and agent work as two processes, and the log is JSON in a pipe", async () => {
    const serve = startProgram(["serve", "--data", join(data, "server"), ...anyPorts]);
    const [, api = ""] = await serve.until(/"api":"(https:[^"]+)"/, "stderr");
    const [, agents = ""] = await serve.until(/"agents":"([^"]+)"/, "stderr");
    const reach = { FAIRLEAD_SERVER: api, FAIRLEAD_DATA: join(data, "server") };
    const token = (await runProgram(["token", "create"], reach)).stdout.trim();
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
    assert.match((await runProgram(["ps"], reach)).stdout, /^north /m);
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
    const [, api = ""] = await serve.until(/"api":"([^"]+)"/, "stderr");
    const [, agents = ""] = await serve.until(/"agents":"([^"]+)"/, "stderr");
    const reach = { FAIRLEAD_DATA: join(data, "server"), FAIRLEAD_SERVER: api };
    const token = (await runProgram(["token", "create"], reach)).stdout.trim();
    const forged = token.replace(/[^.]+$/, "x".repeat(43));
    const wrong = await runProgram([...flags, "--server", agents, "--token", forged]);
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
      assert.match(stderr, new RegExp(`^fairlead: ${address} is in use by another program.*${flag}`));
    }
    taken.close();
  });

  it("V04 V07 has TLS and keys from the first start, trusts nothing else, and says plaintext at every start that asks for it", async () => {
    const serve = startProgram(["serve", "--data", data, ...anyPorts, "--agents-listen", "0.0.0.0:0"]);
    const [, api = ""] = await serve.until(/"api":"(https:[^"]+)"/, "stderr");
    const json = ["ps", "--json", "--server"];
    const [stranger, plain, keyless, trusting] = await Promise.all([
      runProgram([...json, api]),
      runProgram([...json, api.replace("https:", "http:")]),
      runProgram([...json, api, "--ca", join(data, "tls/ca.crt")]),
      runProgram(["ps", "--key-file", join(data, "admin.key")]),
    ]);
    assert.match(keyless.stderr, /"reason":"UNAUTHENTICATED"/);
    assert.match(stranger.stderr, /"reason":"UNTRUSTED_SERVER"/);
    assert.match(plain.stderr, /"reason":"SERVER_UNREACHABLE"/);
    assert.equal(trusting.code, 0, trusting.stderr);
    serve.child.kill("SIGTERM");
    assert.equal(await serve.ended(), 0);
    for (const [flags, env] of [
      [["--insecure"], {}],
      [[], { FAIRLEAD_INSECURE: "true" }],
    ] as const) {
      const insecure = startProgram(["serve", "--data", data, ...anyPorts, ...flags], env);
      const [, plaintext = ""] = await insecure.until(/"api":"(http:[^"]+)"/, "stderr");
      assert.match(insecure.written.stderr, /PLAINTEXT/);
      assert.equal((await runProgram(["ps"], { FAIRLEAD_SERVER: plaintext, FAIRLEAD_DATA: data })).code, 0);
      insecure.child.kill("SIGTERM");
      assert.equal(await insecure.ended(), 0);
    }
  });

  it("V07 refuses TLS settings that do not go together, before anything is made", async () => {
    for (const [flags, env] of [
      [["--tls-cert", "a"], {}],
      [["--insecure", "--tls-cert", "a", "--tls-key", "b"], {}],
      [["--advertise", "a b"], {}],
      [[], { FAIRLEAD_INSECURE: "maybe" }],
    ] as const) {
      const { code } = await runProgram(["serve", "--data", join(data, "none"), ...anyPorts, ...flags], env);
      assert.equal(code, 2, flags.join(" "));
    }
    assert.equal(existsSync(join(data, "none")), false);
  });

  it("a second control plane on a data folder says that it is in use", async () => {
    const first = startProgram(["serve", "--data", data, ...anyPorts]);
    await first.until(/"api":/, "stderr");
    const { code, stderr } = await runProgram(["serve", "--data", data, ...anyPorts]);
    assert.equal(code, 1);
    assert.match(stderr, /^fairlead: the data folder .* is in use by another control plane.*--data/m);
    first.child.kill("SIGTERM");
    assert.equal(await first.ended(), 0);
  });
});
