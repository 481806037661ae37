import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { linkSignal } from "../../resilience/signals.ts";
import { resolveDockerEndpoint } from "./docker-endpoint.ts";
import { DockerEngine } from "./docker-engine.ts";
import type { Engine } from "./engine.ts";
import { SimulatedEngine } from "./simulated-engine.ts";
import type { SimulatedEngineOptions } from "./simulated-engine-options.ts";

/** Which engine an agent works with. */
export type EngineKind = "docker" | "simulated" | "auto";

/** What decides which engine is opened. */
export interface OpenEngineOptions {
  /** "auto": Docker when it answers within three seconds, else a simulated one. */
  readonly kind: EngineKind;
  /** As `docker --host` takes it. Undefined or empty: as Docker's own clients choose, from the two members below. */
  readonly dockerHost?: string;
  /** The environment of the process, of which only Docker's variables are read. Default: none of them is set. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** The folder that has `.docker`. Default: none, so that there is no context. */
  readonly homeDirectory?: string;
  /** How a simulated engine is made, if it comes to that. */
  readonly simulated?: Omit<SimulatedEngineOptions, "clock">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the search of "auto". */
  readonly signal: AbortSignal;
}

const answerWithinMs = 3_000;

/**
 * Opens the engine that was asked for. "docker" does not wait for the engine: one that is down now may come later. Rejects
 * with `INVALID_ARGUMENT` when the Docker host makes no sense and with the reason of the signal.
 */
export async function openEngine(options: OpenEngineOptions): Promise<Engine> {
  switch (options.kind) {
    case "docker":
      return openDocker(options);
    case "simulated":
      return new SimulatedEngine({ ...options.simulated, clock: options.clock });
    case "auto":
      return openWhatIsThere(options);
  }
}

async function openDocker(options: OpenEngineOptions): Promise<DockerEngine> {
  const endpoint = await resolveDockerEndpoint({
    dockerHost: options.dockerHost,
    environment: options.environment ?? {},
    homeDirectory: options.homeDirectory,
  });
  return new DockerEngine({ endpoint, clock: options.clock, logger: options.logger });
}

async function openWhatIsThere(options: OpenEngineOptions): Promise<Engine> {
  const { logger, signal } = options;
  const docker = await openDocker(options);
  try {
    await factsInTime(docker, options);
    return docker;
  } catch (error) {
    await docker.close();
    signal.throwIfAborted();
    logger.warn(
      { err: error },
      `no Docker Engine answers, so the engine is SIMULATED and nothing on this machine is really managed: ${error instanceof Error ? error.message : String(error)}`,
    );
    return new SimulatedEngine({ ...options.simulated, clock: options.clock });
  }
}

async function factsInTime(docker: DockerEngine, { clock, signal }: OpenEngineOptions): Promise<void> {
  const search = linkSignal(signal);
  const timer = clock.sleep(answerWithinMs, search.signal).then(
    () => search.abort(new FleetError("ENGINE_UNAVAILABLE", "no answer within 3 s")),
    () => {},
  );
  try {
    await docker.facts(search.signal);
  } finally {
    search.abort(new Error("the search is over"));
    search.release();
    await timer;
  }
}
