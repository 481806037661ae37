import assert from "node:assert/strict";
import type { EngineWaitCondition } from "../../src/agent/engine/engine.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { type EngineKit, refused } from "./engine-kit.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waiting for containers. */
export function waitTests(kit: EngineKit): void {
  const wait = (container: string, condition: EngineWaitCondition, signal = neverAborted) =>
    kit.engine.waitContainer(container, condition, signal);

  it("O15 who waits for a container that runs is told its exit code, and of one that does not at once", async () => {
    const { id, name } = await kit.make({ command: ["sh", "-c", "sleep 0.5; exit 7"] });
    assert.deepEqual(await wait(id, "not-running"), { exitCode: 0, message: "" }, "it never ran");
    await kit.engine.startContainer(id, neverAborted);
    assert.deepEqual(await wait(name, "not-running"), { exitCode: 7, message: "" });
    assert.deepEqual(await wait(id, "not-running"), { exitCode: 7, message: "" });
    await refused(wait("no-such-thing", "not-running"), "CONTAINER_NOT_FOUND", "No such container");
  });

  it("O15 the next end of one that does not run comes after its next start, and the end of one that is removed is its last", async () => {
    const { id } = await kit.make({ command: ["sh", "-c", "exit 3"] });
    const next = wait(id, "next-exit");
    await pause(300);
    await kit.engine.startContainer(id, neverAborted);
    assert.equal((await next).exitCode, 3);
    const gone = wait(id, "removed");
    await pause(300);
    await kit.remove(id);
    assert.equal((await gone).exitCode, 3);
  });

  it("O15 who waits no longer is let go at once", async () => {
    const { id } = await kit.run();
    const stop = new AbortController();
    const waiting = wait(id, "not-running", stop.signal);
    await pause(300);
    const reason = new Error("nobody wants it");
    stop.abort(reason);
    await assert.rejects(waiting, reason);
  });
}
