import { writeFileSync } from "node:fs";
import { reporters, Runner } from "mocha";

const { EVENT_RUN_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } = Runner.constants;

/**
 * The spec reporter, which also keeps `passed failed skipped` in the file of its option `counts`. The file is
 * current after every test, and a fourth word `whole` says that the run came to its end, so that a run which
 * dies half way is not taken for a short one.
 */
// oxlint-disable-next-line import/no-default-export -- mocha takes a reporter from the default export
export default class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const file = options.reporterOption?.counts ?? options.reporterOptions?.counts;
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const write = (end = "") => writeFileSync(file, `${Object.values(counts).join(" ")}${end}\n`);
    const count = (kind) => () => {
      counts[kind] += 1;
      write();
    };
    write();
    runner.on(EVENT_TEST_PASS, count("passed"));
    runner.on(EVENT_TEST_FAIL, count("failed"));
    runner.on(EVENT_TEST_PENDING, count("skipped"));
    runner.once(EVENT_RUN_END, () => write(" whole"));
  }
}
