import { flushCompileCache } from "node:module";
import { pino } from "pino";
import { startControlPlane } from "../../../src/control-plane/control-plane.ts";

/** What the process of a control plane is started with, as JSON. */
export interface ControlPlaneSettings {
  readonly dataDir: string;
}

/** What it tells its parent once it listens. */
export interface ControlPlaneReady {
  readonly kind: "listening";
  readonly agentsPort: number;
  readonly apiPort: number;
}

const anyPort = { host: "127.0.0.1", port: 0 };

// A real control plane, to be killed: `node control-plane-process.ts '<settings>'`. Times that people wait for are shortened, so that a
// run of a minute sees many leases end, retries and circuits.
const { dataDir } = JSON.parse(process.argv[2] ?? "{}") as ControlPlaneSettings;
process.on("disconnect", () => process.exit());
const { agentsAddress, apiAddress } = await startControlPlane({
  dataDir,
  agentsListen: anyPort,
  apiListen: anyPort,
  logger: pino({ level: "info" }, pino.destination({ dest: 2, sync: true })),
  session: { heartbeatIntervalMs: 400, leaseMs: 1_500, handshakeTimeoutMs: 3_000 },
  dispatch: {
    retry: {
      maxAttempts: 4,
      initialDelayMs: 100,
      exponent: 2,
      maxDelayMs: 1_000,
      minJitter: 0.5,
      maxJitter: 1.5,
    },
    circuit: { failures: 5, windowMs: 5_000, openMs: 300, successes: 1 },
  },
});
const ready: ControlPlaneReady = {
  kind: "listening",
  agentsPort: agentsAddress.port,
  apiPort: apiAddress.port,
};
process.send?.(ready);
// It will not end by itself.
flushCompileCache();
