// Enrols with the token that each line of its input names, and prints how it went.
import { createInterface } from "node:readline";
import { openStorage } from "../../../src/storage/storage.ts";
import { enrolment } from "../sample-records.ts";
import { silent } from "../temporary-storage.ts";

const [path = "", name = ""] = process.argv.slice(2);
const storage = await openStorage({ path, logger: silent });
process.stdout.write("ready\n");
for await (const tokenId of createInterface({ input: process.stdin })) {
  const result = await storage.fleet.enrol(enrolment(tokenId, `${tokenId}-${name}`));
  process.stdout.write(`${result.kind === "enrolled" ? "enrolled" : result.cause}\n`);
}
await storage.close();
