import assert from "node:assert/strict";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { type EngineKit, refused, settled } from "./engine-kit.ts";
import { linesOf, readLog } from "./engine-log-kit.ts";
import { OutputReader, toEnd } from "./engine-process-kit.ts";

/** What `Engine.attach` promises. */
export function attachTests(kit: EngineKit): void {
  it("O13 who attaches before the start misses nothing, and hears the exit code", async () => {
    const { id } = await kit.make({ command: ["sh", "-c", "echo out; echo err >&2; exit 3"] });
    const process = await kit.engine.attach(id, { stdin: false }, neverAborted);
    const told = toEnd(process);
    await kit.engine.startContainer(id, neverAborted);
    assert.deepEqual(await told, { stdout: "out\n", stderr: "err\n", exitCode: 3 });
    await settled(async () => kit.harness.openStreams() === 0);
  });

  it("O13 the exit code of a container that removes itself is heard, too", async () => {
    const { id } = await kit.make({ command: ["sh", "-c", "sleep 0.2; exit 9"], autoRemove: true });
    const told = toEnd(await kit.engine.attach(id, { stdin: false }, neverAborted));
    await kit.engine.startContainer(id, neverAborted);
    assert.equal((await told).exitCode, 9);
  });

  it("O13 input of a container arrives unharmed, with its end, and is in its log", async () => {
    const { id } = await kit.make({ command: ["cat"], stdinOpen: true });
    const process = await kit.engine.attach(id, { stdin: true }, neverAborted);
    const told = toEnd(process);
    await kit.engine.startContainer(id, neverAborted);
    await process.write(Buffer.from("one\ntwo\n"));
    await process.write(Buffer.from([0x65, 0x10, 0x11, 0x03, 0x0a]));
    await process.closeInput();
    const expected = "one\ntwo\ne\x10\x11\x03\n";
    assert.deepEqual(await told, { stdout: expected, stderr: "", exitCode: 0 });
    assert.equal(linesOf(await readLog(kit, id)).join(""), expected);
  });

  it("O13 a terminal of a container: an echo, its size, Control-P at once, and Control-D", async () => {
    const { id } = await kit.make({ command: ["sh"], stdinOpen: true, tty: true });
    const process = await kit.engine.attach(id, { stdin: true }, neverAborted);
    const reader = new OutputReader(process);
    await refused(process.resize(90, 30), "CONFLICT", "is not running");
    await kit.engine.startContainer(id, neverAborted);
    await process.resize(90, 30);
    await process.write(Buffer.from("stty size\n"));
    await reader.until("30 90\r\n");
    await process.write(Buffer.from("exit 6\n"));
    await reader.end();
    assert.equal(await process.exitCode(neverAborted), 6);
    await process.kill();
    await settled(async () => kit.harness.openStreams() === 0);
  });

  it("O13 letting go of a container leaves it as it is, and does not signal it", async () => {
    const { id } = await kit.run({ command: ["sh", "-c", "echo here; sleep 600"] });
    const process = await kit.engine.attach(id, { stdin: false }, neverAborted);
    await refused(process.signal("SIGTERM"), "OPERATION_UNSUPPORTED", "kill");
    await process.kill();
    await process.kill();
    await assert.rejects(process.exitCode(neverAborted));
    assert.equal(await kit.stateOf(id), ContainerState.RUNNING);
    await settled(async () => kit.harness.openStreams() === 0);
  });

  it("O13 a running container that is killed or removed ends what is attached", async () => {
    const { id } = await kit.run();
    const killed = toEnd(await kit.engine.attach(id, { stdin: false }, neverAborted));
    await kit.engine.killContainer(id, "", neverAborted);
    assert.equal((await killed).exitCode, 137);
    await refused(
      kit.engine.attach("no-such-container", { stdin: false }, neverAborted),
      "CONTAINER_NOT_FOUND",
      "no-such-container",
    );
    await settled(async () => kit.harness.openStreams() === 0);
  });
}
