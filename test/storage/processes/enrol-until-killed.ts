// Enrols one host after the other; with "between" it kills itself after the rows are inserted, before the commit.
import { openStorage } from "../../../src/storage/storage.ts";
import { enrolment, newEvent } from "../sample-records.ts";
import { silent } from "../temporary-storage.ts";

const [path = "", prefix = "", when] = process.argv.slice(2);
const storage = await openStorage({ path, logger: silent });
for (let number = 0; ; number += 1) {
  await storage.fleet.enrol(
    enrolment("many", `${prefix}-${number}`, {
      events: () => {
        if (when === "between") {
          process.kill(process.pid, "SIGKILL");
        }
        return [newEvent({ type: 6 })];
      },
    }),
  );
  if (number === 0) {
    process.stdout.write("enrolling\n");
  }
}
