import { createHash } from "node:crypto";
import { homedir, hostname } from "node:os";
import { join, resolve } from "node:path";
import type { Logger } from "pino";
import { openEngine } from "../agent/engine/open-engine.ts";
import type { Engine } from "../agent/engine/engine.ts";
import type { Environment } from "../cli/environment.ts";
import type { EngineOptions } from "./engine-options.ts";

/** How many containers a simulated engine has at first, so that there is something to see. */
const simulatedContainers = 6;

/**
 * Opens the engine that was asked for. A simulated one is the same host again at the next start with the same data
 * folder. To be closed by the caller.
 */
export async function openLocalEngine(
  { engine: kind, dockerHost }: EngineOptions,
  data: string,
  { env, clock, signal }: Environment,
  logger: Logger,
): Promise<Engine> {
  const engineId = createHash("sha256")
    .update(`${hostname()} ${resolve(data)}`)
    .digest("hex")
    .slice(0, 32);
  return await openEngine({
    kind,
    ...(dockerHost === undefined ? {} : { dockerHost }),
    environment: env,
    homeDirectory: homedir(),
    simulated: { containers: simulatedContainers, engineId: `simulated-${engineId}` },
    clock,
    logger,
    signal,
  });
}

/** Where an agent keeps its identity. A simulated engine is another host than this machine's Docker. */
export function agentFolder(data: string, { kind }: Engine): string {
  return join(data, kind === "docker" ? "agent" : "agent-simulated");
}
