import assert from "node:assert/strict";
import { RefusalLog } from "../../../src/control-plane/session/refusal-log.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { recordingLogger } from "../../rpc/api-harness.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const gone = new FleetError("SESSION_LOST", "the agent went away");

describe("RefusalLog", () => {
  it("S17 logs the first 20 of an address in a minute, and says with the last one that it is", async () => {
    const clock = new FakeClock();
    const { logger, lines } = recordingLogger();
    const log = new RefusalLog({ logger, clock });
    for (let port = 0; port < 1_000; port += 1) log.refused(`192.0.2.1:${port}`, "a stream", gone);
    assert.equal(lines.length, 20);
    assert.equal(lines[0]?.["msg"], "a stream was refused: the agent went away");
    assert.equal(lines[0]?.["address"], "192.0.2.1:0");
    assert.match(JSON.stringify(lines.at(-1)?.["msg"]), /not logged within this minute"$/);
    log.refused("192.0.2.2:1", "a stream", gone);
    assert.equal(lines.length, 21);
    await clock.pass(60_000);
    log.refused("192.0.2.1:1", "a stream", gone);
    assert.equal(lines.length, 22);
  });
});
