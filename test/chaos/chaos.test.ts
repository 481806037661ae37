import assert from "node:assert/strict";
import { runChaos } from "../support/chaos/chaos-run.ts";

describe("a fleet whose processes are killed and whose connections break", () => {
  for (const seed of [1, 2]) {
    it(`C26 C27 C28 C29 C41 keeps every promise (seed ${seed})`, async function () {
      this.timeout(180_000);
      const schedule: string[] = [];
      const { violations, history, faults } = await runChaos({
        seed,
        commands: 60,
        agents: 2,
        pauseMs: 250,
        log: (line) => void schedule.push(line),
      });
      const again = `npm run chaos -- --seed ${seed} --commands 60 --agents 2\n${schedule.join("\n")}`;
      assert.deepEqual(violations, [], again);
      assert.ok(faults > 0 && history.executions.length > 0, `the run shows nothing\n${again}`);
    });
  }
});
