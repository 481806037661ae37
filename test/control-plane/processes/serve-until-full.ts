// A control plane that fills its own disk when it is told to by a line on stdin, and says when nothing fits any more.
import { once } from "node:events";
import { pino } from "pino";
import { startControlPlane } from "../../../src/control-plane/control-plane.ts";

const [dataDir = ""] = process.argv.slice(2);
const loopback = { host: "127.0.0.1", port: 0 };
const logger = pino({ level: "silent" });
const plane = await startControlPlane({ dataDir, agentsListen: loopback, apiListen: loopback, logger });
process.stdout.write(`${JSON.stringify({ port: plane.apiAddress.port, pid: process.pid })}\n`);
await once(process.stdin, "data");
for (const bytes of [50_000, 5_000, 500, 1, 1]) {
  // Where a large row does not fit a small one may.
  while (await fits(bytes)) {}
}
process.stdout.write("full\n");
const filling = setInterval(() => void fits(1), 50);
await once(process.stdin, "end");
clearInterval(filling);
await plane.close(0);

async function fits(bytes: number): Promise<boolean> {
  return plane.createToken("x".repeat(bytes)).then(
    () => true,
    () => false,
  );
}
