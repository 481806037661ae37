import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { type RunningAgent, startAgent } from "../../src/agent/agent.ts";
import type { AgentOptions } from "../../src/agent/config.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import {
  type ContainerSpec,
  ContainerSpecSchema,
} from "../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { FakeControlPlane, type FakeControlPlaneOptions } from "./fake-control-plane.ts";

/** One line of a log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** Starts agents and fake control planes for one test, and takes all of them down again. */
export class AgentHarness {
  /** Everything that was logged. */
  readonly lines: LogLine[] = [];
  readonly engine: SimulatedEngine;
  readonly logger = pino(
    { level: "debug" },
    { write: (line: string) => void this.lines.push(JSON.parse(line) as LogLine) },
  );
  readonly #agents: RunningAgent[] = [];
  readonly #planes: FakeControlPlane[] = [];
  readonly #folders: string[] = [];

  constructor(engine = new SimulatedEngine({ clock: systemClock, engineId: "engine-1" })) {
    this.engine = engine;
  }

  /** A fresh folder that is removed at the end. */
  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "fairlead-agent-"));
    this.#folders.push(folder);
    return folder;
  }

  async controlPlane(options?: FakeControlPlaneOptions): Promise<FakeControlPlane> {
    const plane = await FakeControlPlane.start(options);
    this.#planes.push(plane);
    return plane;
  }

  /** Starts an agent with what most tests want. */
  async agent(options: Partial<AgentOptions> & { readonly server: string }): Promise<RunningAgent> {
    const agent = await startAgent({
      token: "fl1.test.secret",
      engine: this.engine,
      logger: this.logger,
      ownContainerId: "",
      // No waiting between sessions: full jitter of nothing.
      random: () => 0,
      ...options,
      dataDir: options.dataDir ?? (await this.folder()),
    });
    this.#agents.push(agent);
    return agent;
  }

  /** Takes everything down. */
  async close(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.close()));
    for (const plane of this.#planes) plane.kill();
    await this.engine.close();
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }
}

/** What most tests create: a container that runs until it is stopped. */
export function sleepingSpec(labels: Record<string, string> = {}): ContainerSpec {
  return create(ContainerSpecSchema, {
    image: "fairlead-test/busybox:latest",
    command: ["sleep", "1000"],
    labels,
  });
}

/** A simulated engine whose calls take a while. */
export function slowEngine(latencyMs: number): SimulatedEngine {
  return new SimulatedEngine({ clock: systemClock, engineId: "engine-slow", latencyMs });
}
