import assert from "node:assert/strict";
import { memoryUsage } from "node:process";
import { neverAborted } from "../../src/resilience/signals.ts";
import { type EngineKit, refused, settled } from "./engine-kit.ts";
import { exec, execSpec, OutputReader, toEnd } from "./engine-process-kit.ts";

const megabyte = 1_000_000;

/** What `Engine.exec` promises. */
export function execTests(kit: EngineKit): void {
  it("O13 a process in a container gives its output, apart, and its exit code", async () => {
    const { id } = await kit.run();
    const script = "echo out; echo err >&2; printf 'no end'; exit 7";
    assert.deepEqual(await toEnd(await exec(kit, id, ["sh", "-c", script])), {
      stdout: "out\nno end",
      stderr: "err\n",
      exitCode: 7,
    });
    assert.equal((await toEnd(await exec(kit, id, ["true"]))).exitCode, 0);
    assert.equal((await toEnd(await exec(kit, id, ["false"]))).exitCode, 1);
    await settled(async () => kit.harness.openStreams() === 0);
  });

  it("O13 the exit code of a process that takes its time can be waited for without reading", async () => {
    const { id } = await kit.run();
    const process = await exec(kit, id, ["sh", "-c", "sleep 0.3; exit 5"]);
    assert.equal(await process.exitCode(neverAborted), 5);
    await process.kill();
  });

  it("O12 O13 binary output and 1 MB of it arrive unharmed", async () => {
    const { id } = await kit.run();
    const script = `printf '\\377\\000\\342\\202'; head -c ${megabyte} /dev/zero; printf '\\254\\n'`;
    const { stdout } = await toEnd(await exec(kit, id, ["sh", "-c", script]));
    assert.equal(stdout, `\xff\0\xe2\x82${"\0".repeat(megabyte)}\xac\n`);
  });

  it("O13 it has the container's environment and its own besides, and nothing else", async () => {
    const { id } = await kit.run({ environment: { COLOUR: "blue", SHAPE: "round" } });
    const { stdout } = await toEnd(
      await exec(kit, id, ["sh", "-c", "env"], { environment: { COLOUR: "green", WITH: "a=b c" } }),
    );
    const lines = stdout.split("\n");
    assert.ok(
      lines.includes("COLOUR=green") && lines.includes("SHAPE=round") && lines.includes("WITH=a=b c"),
    );
    assert.ok(!stdout.includes("FAIRLEAD"), stdout);
  });

  it("O13 input arrives in order and unharmed, its end too, and the output is read to its end afterwards", async () => {
    const { id } = await kit.run();
    const process = await exec(kit, id, ["cat"], { stdin: true });
    const told = toEnd(process);
    const input = Buffer.alloc(megabyte, "0123456789abcdef\0\xff\r\n\x03\x04", "latin1");
    for (let at = 0; at < input.length; at += 10_007) {
      await process.write(input.subarray(at, at + 10_007));
    }
    await process.closeInput();
    await process.closeInput();
    await process.write(Buffer.from("too late"));
    const { stdout, exitCode } = await told;
    assert.ok(stdout === input.toString("latin1"), "what came back is not what was written");
    assert.equal(exitCode, 0);
  });

  it("O13 without input a process reads the end of it at once", async () => {
    const { id } = await kit.run();
    assert.deepEqual(await toEnd(await exec(kit, id, ["cat"])), { stdout: "", stderr: "", exitCode: 0 });
  });

  it("O13 a terminal: size, resize, an echo, all on standard output, and Control-D", async () => {
    const { id } = await kit.run();
    const process = await exec(kit, id, ["sh"], { stdin: true, tty: true, columns: 97, rows: 31 });
    const reader = new OutputReader(process);
    await reader.until("# ");
    await process.resize(97, 31);
    await process.write(Buffer.from("stty size\n"));
    await reader.until("31 97\r\n");
    await process.resize(120, 40);
    await process.write(Buffer.from("stty size; echo to-err >&2\n"));
    await reader.until("40 120\r\n");
    await reader.until(/\r\nto-err\r\n[^\n]*# /);
    await process.write(Buffer.from("false\n"));
    // A shell that does not wait for its next line yet may lose a Control-D.
    await reader.until(/false\r\n[^\n]*# /);
    await process.closeInput();
    await reader.end();
    assert.equal(await process.exitCode(neverAborted), 1, "the shell ends with what its last command gave");
    await process.resize(10, 10);
    await process.kill();
  });

  it("O13 keystrokes arrive in order, Control-P at once, and Control-C ends what runs", async () => {
    const { id } = await kit.run();
    const process = await exec(kit, id, ["cat"], { stdin: true, tty: true });
    const reader = new OutputReader(process);
    const typed = "the quick brown fox 0123456789";
    for (const key of typed) {
      await process.write(Buffer.from(key));
    }
    await reader.until(typed);
    await process.write(Buffer.from("\n"));
    await reader.until(`${typed}\r\n${typed}\r\n`);
    await process.write(Buffer.from([16]));
    await process.write(Buffer.from([17]));
    await process.write(Buffer.from("still here\n"));
    await reader.until("still here\r\n");
    await process.write(Buffer.from([3]));
    await reader.end();
    assert.equal(await process.exitCode(neverAborted), 130);
    await process.kill();
  });

  it("O13 a signal reaches the process", async () => {
    const { id } = await kit.run();
    const process = await exec(kit, id, ["sleep", "600"]);
    await process.signal("SIGTERM");
    assert.equal(await process.exitCode(neverAborted), 143);
    await process.signal("SIGTERM");
    await refused(process.signal("SIGNOTHING"), "INVALID_ARGUMENT", "SIGNOTHING");
    await process.kill();
  });

  it("O13 D03 a caller that closes kills the process, and nothing is left", async () => {
    const { id } = await kit.run();
    const process = await exec(kit, id, ["sh", "-c", "sleep 600; echo done"], { stdin: true });
    assert.ok(kit.harness.openStreams() > 0, "an open process is not seen");
    await process.kill();
    assert.equal(await process.exitCode(neverAborted), 137);
    await process.kill();
    await settled(async () => kit.harness.openStreams() === 0);
    assert.deepEqual(await kit.harness.processesOf(id), ["sleep 600"]);
  });

  it("D02 D03 a caller that reads nothing and then closes kills a process that writes without end", async () => {
    const { id } = await kit.run();
    const process = await exec(kit, id, ["sh", "-c", "yes 'a line of a flood'"]);
    const reader = new OutputReader(process);
    await reader.until("a line of a flood\n");
    const before = memoryUsage.rss();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const growth = memoryUsage.rss() - before;
    await process.kill();
    assert.ok(growth < 64 * 1024 * 1024, `memory grew by ${growth} bytes for a reader that does not read`);
    assert.equal(await process.exitCode(neverAborted), 137);
    assert.deepEqual(await kit.harness.processesOf(id), ["sleep 600"]);
    await settled(async () => kit.harness.openStreams() === 0);
  });

  it("O13 a container that ends or is removed takes the process with it", async () => {
    const ends = [
      (id: string) => kit.engine.killContainer(id, "", neverAborted),
      (id: string) => kit.remove(id),
    ];
    for (const end of ends) {
      const { id } = await kit.run();
      const process = await exec(kit, id, ["sh", "-c", "echo up; sleep 600"]);
      const reader = new OutputReader(process);
      await reader.until("up\n");
      await end(id);
      await reader.end();
      assert.equal(await process.exitCode(neverAborted), 137);
      await process.kill();
    }
    await settled(async () => kit.harness.openStreams() === 0);
  });

  it("O13 D03 a caller whose connection is cut kills the process all the same", async () => {
    const { id } = await kit.run();
    const script = "echo up; sleep 0.5; echo to nobody; sleep 600";
    const process = await exec(kit, id, ["sh", "-c", script], { tty: true });
    for await (const { data } of process.output) {
      assert.equal(Buffer.from(data).toString(), "up\r\n");
      break;
    }
    // Docker hears of the cut when it has something to tell, and then knows nothing of the process any more.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.equal((await kit.harness.processesOf(id)).length > 1, true, "it has ended by itself");
    await process.kill();
    assert.deepEqual(await kit.harness.processesOf(id), ["sleep 600"]);
    await settled(async () => kit.harness.openStreams() === 0);
  });

  it("O13 what cannot be started says so: no such command, no such container, one that does not run", async () => {
    const { id } = await kit.run();
    const { stdout, exitCode } = await toEnd(await exec(kit, id, ["no-such-command"]));
    assert.match(stdout, /no-such-command.*not found/);
    assert.ok(exitCode === 126 || exitCode === 127, `${exitCode}`);
    await refused(exec(kit, "no-such-container", ["true"]), "CONTAINER_NOT_FOUND", "no-such-container");
    await refused(exec(kit, (await kit.make()).id, ["true"]), "CONFLICT", "is not running");
    await kit.engine.pauseContainer(id, neverAborted);
    await refused(exec(kit, id, ["true"]), "CONFLICT", "is paused");
    await kit.engine.unpauseContainer(id, neverAborted);
    await refused(exec(kit, id, []), "INVALID_ARGUMENT", "");
    const reason = new Error("enough");
    await assert.rejects(kit.engine.exec(id, execSpec(["true"]), AbortSignal.abort(reason)), reason);
  });

  it("O13 the signal of a start covers the start only, for a process and for who is attached", async () => {
    const abort = new AbortController();
    const { id } = await kit.run({ command: ["cat"], stdinOpen: true });
    const started = [
      await kit.engine.exec(id, execSpec(["cat"], { stdin: true }), abort.signal),
      await kit.engine.attach(id, { stdin: true }, abort.signal),
    ];
    abort.abort(new Error("the start is over"));
    for (const process of started) {
      const told = toEnd(process);
      await process.write(Buffer.from("still here"));
      await process.closeInput();
      assert.deepEqual(await told, { stdout: "still here", stderr: "", exitCode: 0 });
    }
  });

  it("O13 an abort ends the wait for an exit code with the signal's reason, and nothing else", async () => {
    const { id } = await kit.run();
    const process = await exec(kit, id, ["sh", "-c", "sleep 1; exit 4"]);
    const reason = new Error("enough");
    const abort = new AbortController();
    const waiting = assert.rejects(process.exitCode(abort.signal), reason);
    abort.abort(reason);
    await waiting;
    assert.equal((await toEnd(process)).exitCode, 4);
  });
}
