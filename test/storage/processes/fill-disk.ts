// Writes until the limit on the size of its files stops it, looks at what still works, then gets room again.
import { spawnSync } from "node:child_process";
import { FleetError } from "../../../src/domain/errors.ts";
import { openStorage } from "../../../src/storage/storage.ts";
import { commandId, commandRecord } from "../sample-records.ts";
import { silent } from "../temporary-storage.ts";

const [path = ""] = process.argv.slice(2);
const storage = await openStorage({ path, logger: silent });
const big = { payload: new Uint8Array(50_000) };
let number = 0;
let reason: string | undefined;
while (reason === undefined && number < 1_000) {
  number += 1;
  try {
    await storage.commit({ commands: [commandRecord(number, big)] });
  } catch (error) {
    reason = error instanceof FleetError ? error.reason : String(error);
  }
}
const healthyAfterFailure = storage.healthy();
// What is left has room for smaller writes still.
while (await storage.probe()) {}
const full = {
  healthyAfterFailure,
  healthy: storage.healthy(),
  probe: await storage.probe(),
  several: (
    await Promise.allSettled([1, 2, 3].map(() => storage.commit({ commands: [commandRecord(number, big)] })))
  ).map(({ status }) => status),
  readable: (await storage.commands.get(commandId(1))) !== undefined,
  failedOneStored: (await storage.commands.get(commandId(number))) !== undefined,
};
const { status } = spawnSync("prlimit", ["--pid", `${process.pid}`, "--fsize=unlimited"]);
const probe = await storage.probe();
await storage.commit({ commands: [commandRecord(number, big)] });
const after = {
  probe,
  healthy: storage.healthy(),
  stored: (await storage.commands.open()).length === number,
};
process.stdout.write(`${JSON.stringify({ reason, full, prlimit: status, after })}\n`);
await storage.close();
