import { createHash } from "node:crypto";
import { homedir, hostname } from "node:os";
import { join, resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import type { Logger } from "pino";
import { openEngine } from "../agent/engine/open-engine.ts";
import type { EngineKind } from "../agent/engine/open-engine.ts";
import type { Engine } from "../agent/engine/engine.ts";
import type { Environment } from "../cli/environment.ts";

/** Which engine, as it was asked for. */
export interface EngineOptions {
  readonly engine: EngineKind;
  readonly dockerHost?: string;
  readonly name?: string;
}

/** How many containers a simulated engine has at first, so that there is something to see. */
const simulatedContainers = 6;

/** Gives a command the settings of an agent that are about its machine. */
export function addEngineOptions(command: Command, engine: EngineKind): Command {
  return command
    .addOption(
      new Option(
        "--engine <kind>",
        "which engine to manage; auto: Docker when it answers, else a simulated one",
      )
        .env("FAIRLEAD_ENGINE")
        .choices(["docker", "simulated", "auto"])
        .default(engine),
    )
    .addOption(
      new Option(
        "--docker-host <address>",
        "where Docker is, for example unix:///var/run/docker.sock (default: as docker itself finds it)",
      ).env("FAIRLEAD_DOCKER_HOST"),
    )
    .addOption(
      new Option("--name <name>", "the host's name in the fleet (default: its own)").env("FAIRLEAD_NAME"),
    );
}

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
