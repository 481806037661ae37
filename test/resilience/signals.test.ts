import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { untilAborted } from "../../src/resilience/signals.ts";

/** How many rejections were taken by nobody while `work` went on and a turn later. */
async function untaken(work: () => Promise<void>): Promise<number> {
  let count = 0;
  const note = () => (count += 1);
  const others = process.rawListeners("unhandledRejection") as NodeJS.UnhandledRejectionListener[];
  process.removeAllListeners("unhandledRejection").on("unhandledRejection", note);
  try {
    await work();
    await turn();
  } finally {
    process.off("unhandledRejection", note);
    for (const other of others) process.on("unhandledRejection", other);
  }
  return count;
}

describe("untilAborted", () => {
  it("settles as the promise does", async () => {
    const { signal } = new AbortController();
    assert.equal(await untilAborted(Promise.resolve(1), signal), 1);
    await assert.rejects(untilAborted(Promise.reject(new Error("broken")), signal), /broken/);
  });

  it("rejects with the reason of a signal that aborts first, and leaves no listener on it", async () => {
    const controller = new AbortController();
    const waiting = untilAborted(Promise.withResolvers<never>().promise, controller.signal);
    controller.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
    assert.deepEqual(getEventListeners(controller.signal, "abort"), []);
  });

  for (const when of ["before", "while it waits"] as const) {
    it(`takes the rejection of the promise that came second when the signal aborted ${when}`, async () => {
      const left = await untaken(async () => {
        const controller = new AbortController();
        const promised = Promise.withResolvers<never>();
        if (when === "before") controller.abort(new Error("enough"));
        const waiting = untilAborted(promised.promise, controller.signal);
        controller.abort(new Error("enough"));
        await assert.rejects(waiting, /enough/);
        promised.reject(new Error("aborted too"));
      });
      assert.equal(left, 0);
    });
  }
});
