import { Option } from "commander";
import type { Command } from "commander";
import type { EngineKind } from "../agent/engine/open-engine.ts";

/** Which engine, as it was asked for. */
export interface EngineOptions {
  readonly engine: EngineKind;
  readonly dockerHost?: string;
  readonly name?: string;
  readonly policy?: string;
}

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
    )
    .addOption(
      new Option(
        "--policy <file>",
        "what may be done on this host at all (default: policy.yaml in the agent's folder, where there is one)",
      ).env("FAIRLEAD_POLICY"),
    );
}
