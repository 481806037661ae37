import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { TicketOffice } from "../../../src/control-plane/streams/ticket-office.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { TimerWheel } from "../../../src/resilience/timer-wheel.ts";

describe("tickets for data streams", () => {
  let wheel: TimerWheel;
  beforeEach(() => {
    wheel = new TimerWheel();
  });
  afterEach(() => wheel.clear());

  it("D01 a ticket is good once, and for its agent only", async () => {
    const office = new TicketOffice<string>({ wheel, lifeMs: 30_000 });
    const { secret, opened } = office.issue("agent-1");
    assert.equal(secret.byteLength, 32);
    assert.equal(office.redeem(randomBytes(32), "agent-1"), undefined);
    assert.equal(office.redeem(secret, "agent-2"), undefined);
    office.redeem(secret, "agent-1")?.("the stream");
    assert.equal(await opened, "the stream");
    assert.equal(office.redeem(secret, "agent-1"), undefined);
    assert.equal(office.size, 0);
  });

  it("D01 a ticket is good for so long, and nobody waits longer", async () => {
    const office = new TicketOffice<string>({ wheel, lifeMs: 50 });
    const { secret, opened } = office.issue("agent-1");
    await assert.rejects(
      opened,
      (error) => error instanceof FleetError && error.reason === "STREAM_NOT_OPENED",
    );
    assert.equal(office.redeem(secret, "agent-1"), undefined);
    assert.equal(office.size, 0);
  });

  it("D03 a ticket that was taken back is good for nothing, and leaves no timer", async () => {
    const office = new TicketOffice<string>({ wheel, lifeMs: 30_000 });
    const { secret, opened, takeBack } = office.issue("agent-1");
    takeBack(new FleetError("CANCELLED", "not wanted"));
    takeBack(new FleetError("CANCELLED", "not wanted twice"));
    await assert.rejects(opened, /not wanted$/);
    assert.equal(office.redeem(secret, "agent-1"), undefined);
    await delay(1);
    assert.equal(wheel.size, 0);
  });
});
