// Commits groups of commands and events, and prints the number of the last command of each group once it is durable.
import { writeSync } from "node:fs";
import { openStorage } from "../../../src/storage/storage.ts";
import { commandId, commandRecord, newEvent } from "../sample-records.ts";
import { silent } from "../temporary-storage.ts";

const [path = ""] = process.argv.slice(2);
const storage = await openStorage({ path, logger: silent });
for (let number = 1; ; number += 10) {
  await Promise.all(
    Array.from({ length: 10 }, (_, offset) =>
      storage.commit({
        commands: [commandRecord(number + offset)],
        events: [newEvent({ commandId: commandId(number + offset) })],
      }),
    ),
  );
  writeSync(1, `${number + 9}\n`);
}
