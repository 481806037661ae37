import assert from "node:assert/strict";
import fc from "fast-check";
import { CircuitBreaker, defaultCircuitSettings } from "../../src/resilience/circuit-breaker.ts";

type Outcome = "success" | "failure" | "unknown";

/** Sends one call through and says how it ended; false when it was refused. */
function call(breaker: CircuitBreaker, outcome: Outcome, now: number): boolean {
  const admission = breaker.admit(now);
  if (admission.kind === "refused") return false;
  breaker.report(admission, outcome, now);
  return true;
}

function opened(now = 0): CircuitBreaker {
  const breaker = new CircuitBreaker(defaultCircuitSettings);
  for (let failures = 0; failures < 5; failures += 1) call(breaker, "failure", now);
  return breaker;
}

describe("circuit breaker", () => {
  it("C19 opens with the fifth failure within 60 s, and not with the fourth", () => {
    const breaker = new CircuitBreaker(defaultCircuitSettings);
    for (const now of [0, 1_000, 2_000, 3_000]) call(breaker, "failure", now);
    assert.equal(breaker.state(3_000).kind, "closed");
    call(breaker, "failure", 59_999);
    assert.equal(breaker.state(59_999).kind, "open");
  });

  it("C19 failures older than 60 s are forgotten, successes in between forget nothing", () => {
    const breaker = new CircuitBreaker(defaultCircuitSettings);
    for (const now of [0, 1_000, 2_000, 3_000]) call(breaker, "failure", now);
    call(breaker, "success", 4_000);
    call(breaker, "failure", 60_000);
    assert.equal(breaker.state(60_000).kind, "closed");
    call(breaker, "failure", 60_500);
    assert.equal(breaker.state(60_500).kind, "open");
  });

  it("C22 while open every call is refused with the time that is left", () => {
    assert.deepEqual(opened().admit(10_000), { kind: "refused", retryAfterMs: 20_000 });
  });

  it("C19 after 30 s one probe goes, two successes close, and one failure opens again", () => {
    const breaker = opened();
    assert.equal(call(breaker, "success", 30_000), true);
    assert.equal(breaker.state(30_000).kind, "half-open");
    assert.equal(call(breaker, "success", 30_001), true);
    assert.equal(breaker.state(30_001).kind, "closed");
    const again = opened();
    call(again, "success", 30_000);
    call(again, "failure", 31_000);
    assert.deepEqual(again.state(31_000), { kind: "open", until: 61_000 });
  });

  it("C21 while half-open, 20 concurrent calls let exactly one through", () => {
    const breaker = opened();
    const admissions = Array.from({ length: 20 }, () => breaker.admit(30_000));
    assert.equal(admissions.filter(({ kind }) => kind === "admitted").length, 1);
  });

  it("C19 a call from before the circuit opened does not decide what the probe is for", () => {
    const breaker = new CircuitBreaker(defaultCircuitSettings);
    const early = breaker.admit(0);
    assert.ok(early.kind === "admitted");
    for (let failures = 0; failures < 5; failures += 1) call(breaker, "failure", 0);
    breaker.admit(30_000);
    breaker.report(early, "success", 30_001);
    assert.deepEqual(breaker.state(30_001), { kind: "half-open", probing: true, successes: 0 });
  });

  it("C21 a probe whose caller went away gives its place to the next", () => {
    const breaker = opened();
    assert.equal(call(breaker, "unknown", 30_000), true);
    assert.deepEqual(breaker.state(30_000), { kind: "half-open", probing: false, successes: 0 });
  });

  it("C24 encouraged, an open circuit lets the next call probe at once", () => {
    const breaker = opened();
    breaker.encourage();
    assert.equal(breaker.admit(1).kind, "admitted");
    assert.equal(breaker.admit(1).kind, "refused");
  });

  it("C24 encouraged, a closed circuit stays closed", () => {
    const breaker = new CircuitBreaker(defaultCircuitSettings);
    breaker.encourage();
    assert.equal(breaker.state(0).kind, "closed");
  });

  it("C21 never lets two probes go at once, whatever happens in whatever order", () => {
    const step = fc.record({
      wait: fc.integer({ min: 0, max: 40_000 }),
      outcome: fc.constantFrom<Outcome>("success", "failure", "unknown"),
      hold: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const breaker = opened();
        let now = 0;
        let held: (() => void) | undefined;
        for (const { wait, outcome, hold } of steps) {
          now += wait;
          const admission = breaker.admit(now);
          if (admission.kind === "refused") {
            held?.();
            held = undefined;
          } else if (admission.probe) {
            assert.equal(held, undefined, "a second probe went while the first was under way");
            const end = () => breaker.report(admission, outcome, now);
            if (hold) held = end;
            else end();
          } else {
            breaker.report(admission, outcome, now);
          }
        }
      }),
    );
  });

  it("tells each change of its state once", () => {
    const changes: string[] = [];
    const breaker = new CircuitBreaker(defaultCircuitSettings, (from, to) =>
      changes.push(`${from} to ${to}`),
    );
    for (let failures = 0; failures < 6; failures += 1) call(breaker, "failure", 0);
    call(breaker, "success", 30_000);
    call(breaker, "success", 30_000);
    assert.deepEqual(changes, ["closed to open", "open to half-open", "half-open to closed"]);
  });
});
