import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { AgentHarness, sleepingSpec } from "../support/agent-harness.ts";
import type { FakeControlPlane, FakeSession } from "../support/fake-control-plane.ts";

/** Random numbers that a seed repeats (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("an agent whose connection is cut at any moment", () => {
  for (const seed of [1, 2, 3, 4]) {
    it(`C28 runs each command once and loses no result (seed ${seed})`, async function () {
      this.timeout(60_000);
      const random = seeded(seed);
      const kills = new Map<string, number>();
      const engine = new SimulatedEngine({
        clock: systemClock,
        engineId: "engine-1",
        latencyMs: 3,
        observe: ({ method, container, argument }) => {
          const kill = `${container} ${argument}`;
          if (method === "kill") kills.set(kill, (kills.get(kill) ?? 0) + 1);
        },
      });
      const harness = new AgentHarness(engine);
      try {
        const ids = await Promise.all(
          ["one", "two", "three"].map((name) => engine.createContainer(name, sleepingSpec(), neverAborted)),
        );
        for (const id of ids) await engine.startContainer(id, neverAborted);
        let plane = await harness.controlPlane();
        await harness.agent({ server: plane.address, dataDir: await harness.folder() });

        // Container and real-time signal together tell each command from the others; the processes ignore them.
        const open = new Map(
          Array.from({ length: 24 }, (_, index) => [
            randomUUID() as string,
            { container: ids[index % 3] ?? "", signal: `RTMIN+${Math.floor(index / 3)}` },
          ]),
        );
        const commands = open.size;
        const ended = new Map<string, string | undefined>();
        let sent = 0;
        while (open.size > 0) {
          const session = await plane.session();
          sent += deliver(session, open, random);
          await delay(random() * 12);
          take(session, open, ended, random);
          const { port, keys } = plane;
          plane.kill();
          plane = await restarted(harness, port, keys);
        }
        assert.equal(ended.size, commands);
        assert.deepEqual([...new Set(ended.values())], ["outcome"]);
        assert.equal(kills.size, commands);
        assert.deepEqual([...new Set(kills.values())], [1]);
        assert.ok(sent > commands, "no command was ever sent twice: the test shows nothing");
      } finally {
        await harness.close();
      }
    });
  }
});

/** Sends some of the commands whose results are not here, also such as the agent has already: it must know them again. */
function deliver(
  session: FakeSession,
  open: ReadonlyMap<string, { container: string; signal: string }>,
  random: () => number,
): number {
  const chosen = [...open].filter(() => random() < 0.4);
  for (const [id, value] of chosen) session.command({ case: "killContainer", value }, { id });
  return chosen.length;
}

function take(
  session: FakeSession,
  open: Map<string, unknown>,
  ended: Map<string, string | undefined>,
  random: () => number,
): void {
  for (const { commandId, end } of session.results) {
    open.delete(commandId);
    ended.set(commandId, end.case);
  }
  if (random() < 0.5) return;
  session.send({ acknowledgedCommandIds: session.results.map(({ commandId }) => commandId) });
}

async function restarted(
  harness: AgentHarness,
  port: number,
  keys: ReadonlyMap<string, Uint8Array>,
): Promise<FakeControlPlane> {
  const plane = await harness.controlPlane({ port });
  for (const [agentId, key] of keys) plane.keys.set(agentId, key);
  return plane;
}
