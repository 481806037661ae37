import assert from "node:assert/strict";
import fc from "fast-check";
import type { AgentSession } from "../../../src/control-plane/session/agent-session.ts";
import { SessionRegistry } from "../../../src/control-plane/session/session-registry.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { TimerWheel } from "../../../src/resilience/timer-wheel.ts";
import { sessionOf } from "./session-parts.ts";

const lost = new FleetError("SESSION_LOST", "the agent closed the session");

describe("SessionRegistry", () => {
  it("S04 ends the older session with ABORTED before the newer one counts for anybody", async () => {
    const registry = new SessionRegistry();
    const older = sessionOf("a", 1);
    const newer = sessionOf("a", 2);
    assert.equal(registry.admit(older.session), undefined);
    assert.equal(registry.admit(newer.session), older.session);
    assert.equal(older.session.over, true);
    const reason = await older.session.ended;
    assert.equal(reason.reason, "SESSION_SUPERSEDED");
    assert.equal(reason.metadata["session_epoch"], "2");
    assert.deepEqual(
      older.call.errors.map(({ code }) => code),
      [10],
    );
    assert.equal(registry.current("a"), newer.session);
    newer.session.end(lost);
  });

  it("S04 refuses a session that was overtaken by a newer one", () => {
    const registry = new SessionRegistry();
    const [newer, older] = [sessionOf("a", 7).session, sessionOf("a", 6).session];
    registry.admit(newer);
    assert.throws(() => registry.admit(older), { reason: "SESSION_SUPERSEDED" });
    assert.equal(registry.current("a"), newer);
    assert.equal(newer.over, false);
    for (const session of [newer, older]) session.end(lost);
  });

  it("S05 the release of a session that is no longer the current one changes nothing", () => {
    const registry = new SessionRegistry();
    const [older, newer] = [sessionOf("a", 1).session, sessionOf("a", 2).session];
    registry.admit(older);
    registry.admit(newer);
    assert.equal(registry.release(older), false);
    assert.equal(registry.isOnline("a"), true);
    newer.end(lost);
    assert.equal(registry.release(newer), true);
    assert.equal(registry.release(newer), false);
    assert.equal(registry.size, 0);
  });

  it("S05 after any order of admissions, ends and late releases the newest session that lives counts", () => {
    const step = fc.record({
      what: fc.constantFrom("admit", "admit", "end", "release"),
      agent: fc.constantFrom("a", "b"),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const registry = new SessionRegistry();
        const wheel = new TimerWheel();
        const made = new Map<string, AgentSession[]>([
          ["a", []],
          ["b", []],
        ]);
        for (const { what, agent, pick } of steps) {
          const sessions = made.get(agent) ?? [];
          const one = sessions[pick % Math.max(1, sessions.length)];
          if (what === "admit") {
            const { session } = sessionOf(agent, sessions.length + 1, { wheel });
            sessions.push(session);
            registry.admit(session);
          } else if (one !== undefined) {
            // A teardown comes only after its end, however late.
            if (what === "end") one.end(lost);
            else if (one.over) registry.release(one);
          }
          for (const [id, all] of made) {
            const alive = all.filter(({ over }) => !over);
            assert.ok(alive.length <= 1);
            if (alive[0] !== undefined) assert.equal(registry.current(id), alive[0]);
            assert.ok(
              all.indexOf(registry.current(id) as AgentSession) >= all.length - 1 || !registry.isOnline(id),
            );
          }
        }
        for (const session of [...made.values()].flat()) {
          session.end(lost);
          registry.release(session);
        }
        assert.equal(registry.size, 0);
        assert.equal(wheel.size, 0);
      }),
      { numRuns: 100 },
    );
  });

  it("E13 ends the session of an agent that is removed, and ignores one that has none", async () => {
    const registry = new SessionRegistry();
    const { session } = sessionOf("a", 1);
    registry.admit(session);
    registry.remove("nobody", lost);
    registry.remove("a", lost);
    assert.equal(await session.ended, lost);
    assert.deepEqual([...registry.all()], [session]);
    registry.release(session);
    const { session: late } = sessionOf("a", 2);
    assert.throws(() => registry.admit(late), lost);
    assert.equal(registry.size, 0);
    late.end(lost);
  });
});
