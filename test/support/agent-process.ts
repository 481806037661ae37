import { pino } from "pino";
import { startAgent } from "../../src/agent/agent.ts";
import type { EngineChange } from "../../src/agent/engine/engine.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { sleepingSpec } from "./agent-harness.ts";

// An agent in a process of its own, to be killed: `node agent-process.ts <server> <data folder>`. Its engine has the containers "one",
// "two" and "three"; whatever is asked of the first two is done, and never answered.

class SilentEngine extends SimulatedEngine {
  override async startContainer(container: string, signal: AbortSignal): Promise<EngineChange> {
    const change = await super.startContainer(container, signal);
    return container === this.answering ? change : await never();
  }

  override async restartContainer(): Promise<EngineChange> {
    return await never();
  }

  answering = "";
}

const [server = "", dataDir = ""] = process.argv.slice(2);
const engine = new SilentEngine({ clock: systemClock, engineId: "engine-1" });
for (const name of ["one", "two", "three"]) {
  engine.answering = await engine.createContainer(name, sleepingSpec(), neverAborted);
}
const logger = pino({ level: "silent" });
await startAgent({ server, dataDir, engine, logger, token: "fl1.test.secret", ownContainerId: "" });

async function never(): Promise<never> {
  return await new Promise(() => undefined);
}
