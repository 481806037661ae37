import { commandLineTests } from "./fleet-command-line-tests.ts";
import { commandTests } from "./fleet-command-tests.ts";
import { diskTests } from "./fleet-disk-tests.ts";
import type { MakeFleetEngine } from "./fleet-engine.ts";
import { eventTests } from "./fleet-event-tests.ts";
import { FleetKit } from "./fleet-kit.ts";
import { fileTests } from "./fleet-file-tests.ts";
import { listTests } from "./fleet-list-tests.ts";
import { execTests } from "./fleet-exec-tests.ts";
import { logTests } from "./fleet-log-tests.ts";
import { operationTests } from "./fleet-operation-tests.ts";
import { outageTests } from "./fleet-outage-tests.ts";
import { terminalTests } from "./fleet-terminal-tests.ts";
import { runExecTests } from "./fleet-run-exec-tests.ts";
import { sessionTests } from "./fleet-session-tests.ts";
import { statsTests } from "./fleet-stats-tests.ts";
import { unaryTests } from "./fleet-unary-tests.ts";
import { waitTests } from "./fleet-wait-tests.ts";

/** The suite that a fleet passes on every engine: control plane, agents and engine as they are, seen through the API. */
export function describeFleet(name: string, makeEngine: MakeFleetEngine, { hasShell = false } = {}): void {
  describe(name, function () {
    this.timeout(20_000);
    this.slow(5_000);

    describe("of two hosts", () => {
      const kit = new FleetKit();
      before(async function () {
        await kit.begin(this, makeEngine);
      });
      after(() => kit.end());

      listTests(kit);
      operationTests(kit);
      unaryTests(kit);
      runExecTests(kit);
      waitTests(kit);
      commandTests(kit);
      logTests(kit);
      execTests(kit);
      statsTests(kit);
      fileTests(kit);
      describe("in a terminal", () => terminalTests(kit, hasShell));
      eventTests(kit);
      commandLineTests(kit);
      diskTests(kit);
      sessionTests(kit);
    });

    outageTests(makeEngine);
  });
}
