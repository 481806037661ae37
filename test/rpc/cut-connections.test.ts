import assert from "node:assert/strict";
import { tellOfCutConnections } from "../../src/rpc/cut-connections.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { recordingLogger } from "./api-harness.ts";

describe("tellOfCutConnections", () => {
  it("V09 counts every connection, and logs of one address the first in a minute", async () => {
    const clock = new FakeClock();
    const { logger, lines } = recordingLogger();
    const counted: string[] = [];
    const onCut = (port: string, cause: string) => void counted.push(`${port} ${cause}`);
    const tell = tellOfCutConnections({ port: "agents", logger, clock, onCut });
    for (let time = 0; time < 5; time += 1) tell("ping_flood", "192.0.2.1");
    tell("settings_flood", "192.0.2.2");
    assert.equal(counted.length, 6);
    assert.equal(counted.at(-1), "agents settings_flood");
    assert.deepEqual(
      lines.map(({ port, cause, address }) => [port, cause, address]),
      [
        ["agents", "ping_flood", "192.0.2.1"],
        ["agents", "settings_flood", "192.0.2.2"],
      ],
    );
    await clock.pass(60_000);
    tell("ping_flood", "192.0.2.1");
    assert.equal(lines.length, 3);
  });
});
