import { DockerEngine } from "../../src/agent/engine/docker-engine.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { engineSocket } from "./docker.ts";
import { silentLogger } from "./silent-logger.ts";

/** The code under test for the engine that listens at a path: this machine's, unless another is named. To be closed. */
export function engineAtSocket(path = engineSocket): DockerEngine {
  const endpoint = { kind: "socket", address: `unix://${path}`, path } as const;
  return new DockerEngine({ endpoint, clock: systemClock, logger: silentLogger });
}
