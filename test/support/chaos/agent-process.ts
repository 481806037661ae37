import { flushCompileCache } from "node:module";
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
  /** How many commands run at once. Default: the product's. */
  readonly concurrentCommands?: number;
}

/** What it tells its parent. */
export type AgentNews = { readonly kind: "online" } | { readonly kind: "refused"; readonly message: string };

// A real agent whose engine lives elsewhere, to be killed: `node agent-process.ts '<settings>'`. It tells its parent when it is online,
// or why it cannot start.
const settings = JSON.parse(process.argv[2] ?? "{}") as AgentSettings;
process.on("disconnect", () => process.exit());
const { server, token, dataDir, name, enginePath, incarnation, haste, concurrentCommands } = settings;
const agent = await startAgent({
  server,
  token,
  dataDir,
  name,
  engine: new RemoteEngine({ path: enginePath, incarnation }),
  logger: pino({ level: "info" }, pino.destination({ dest: 2, sync: true })),
  random: () => Math.random() * haste,
  ownContainerId: "",
  limits: { handshakeMs: 2_000, ...(concurrentCommands === undefined ? {} : { concurrentCommands }) },
}).catch(async (error: unknown) => {
  await tell({ kind: "refused", message: String(error) });
  process.exit(1);
});
await agent.ready;
await tell({ kind: "online" });
// It will not end by itself.
flushCompileCache();

async function tell(news: AgentNews): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.send?.(news, () => resolve());
  await promise;
}
