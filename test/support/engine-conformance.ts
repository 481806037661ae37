import { attachTests } from "./engine-attach-tests.ts";
import { contentTests } from "./engine-content-tests.ts";
import { eventTests } from "./engine-event-tests.ts";
import { execTests } from "./engine-exec-tests.ts";
import { type EngineHarness, EngineKit } from "./engine-kit.ts";
import { fileTests } from "./engine-file-tests.ts";
import { logTests } from "./engine-log-tests.ts";
import { observationTests } from "./engine-observation-tests.ts";
import { operationTests } from "./engine-operation-tests.ts";
import { referenceTests } from "./engine-reference-tests.ts";
import { usageTests } from "./engine-usage-tests.ts";
import { updateTests } from "./engine-update-tests.ts";
import { waitTests } from "./engine-wait-tests.ts";

/**
 * The suite that every engine passes: what `Engine` promises, on whatever `makeHarness` gives. `withoutStreams`: it has no
 * logs, and no processes to talk with.
 */
export function describeEngine(
  name: string,
  makeHarness: (context: Mocha.Context) => Promise<EngineHarness>,
  { withoutStreams = false } = {},
): void {
  describe(name, function () {
    this.timeout(60_000);
    this.slow(5_000);
    const kit = new EngineKit();

    before(async function () {
      kit.begin(await makeHarness(this));
    });
    after(() => kit.end());

    contentTests(kit);
    operationTests(kit);
    referenceTests(kit);
    eventTests(kit);
    if (!withoutStreams) {
      usageTests(kit);
      fileTests(kit);
      logTests(kit);
      execTests(kit);
      attachTests(kit);
      observationTests(kit);
      updateTests(kit);
      waitTests(kit);
    }
  });
}
