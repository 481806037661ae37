import { pino } from "pino";
import { startAgent } from "../../../src/agent/agent.ts";
import { RemoteEngine } from "./remote-engine.ts";

/** What the process of an agent is started with, as JSON. */
export interface AgentSettings {
  /** The control plane, "host:port". */
  readonly server: string;
  readonly token: string;
  readonly dataDir: string;
  readonly name: string;
  readonly enginePath: string;
  readonly incarnation: number;
  /** What the usual waits between sessions and tries are multiplied by. */
  readonly haste: number;
}

// A real agent whose engine lives elsewhere, to be killed: `node agent-process.ts '<settings>'`. It tells its parent when it is online.
const settings = JSON.parse(process.argv[2] ?? "{}") as AgentSettings;
process.on("disconnect", () => process.exit());
const { server, token, dataDir, name, enginePath, incarnation, haste } = settings;
const agent = await startAgent({
  server,
  token,
  dataDir,
  name,
  engine: new RemoteEngine({ path: enginePath, incarnation }),
  logger: pino({ level: "info" }, pino.destination({ dest: 2, sync: true })),
  random: () => Math.random() * haste,
  ownContainerId: "",
  limits: { handshakeMs: 2_000 },
});
await agent.ready;
process.send?.({ kind: "online" });
