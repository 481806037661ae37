import assert from "node:assert/strict";
import { type DockerTerminal, resizeTerminal } from "../../../src/agent/engine/docker-resize.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { refused } from "../../support/engine-kit.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const failing: DockerTerminal["connection"]["request"] = () =>
  Promise.reject(new FleetError("ENGINE_FAILED", "cannot resize a stopped container"));

// As a connection whose engine says nothing.
const waiting: DockerTerminal["connection"]["request"] = (_request, signal) =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

describe("agent/engine: the size of Docker's terminals", () => {
  const clock = new FakeClock();

  const resize = (request: DockerTerminal["connection"]["request"], isOver: boolean) =>
    resizeTerminal(
      { connection: { request }, clock, path: "/exec/one", hasEnded: () => Promise.resolve(isOver) },
      80,
      24,
    );

  it("O13 a failure is none where the process has ended", async () => {
    await resize(failing, true);
    await refused(resize(failing, false), "ENGINE_FAILED", "stopped");
    assert.equal(clock.sleeping, 0);
  });

  it("O13 O21 an engine that does not answer is given up after ten seconds, and no timer is left", async () => {
    const resizing = refused(resize(waiting, false), "ENGINE_UNAVAILABLE", "10000 ms");
    await clock.pass(9_999);
    assert.equal(clock.sleeping, 1);
    await clock.pass(1);
    await resizing;
    assert.equal(clock.sleeping, 0);
  });
});
