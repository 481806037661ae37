import type Docker from "dockerode";
import type { Engine } from "../../src/agent/engine/engine.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { ContainerState } from "../../src/gen/fairlead/container/v1/container_pb.js";
import { systemClock } from "../../src/resilience/clock.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import { sleepingSpec } from "./agent-harness.ts";
import { testLabel, uniqueName } from "./docker.ts";
import { engineAtSocket } from "./engine-at-socket.ts";

/** The image of every container of a fleet's tests. */
export const fleetImage = "fairlead-test/busybox:latest";

/** An engine for an agent of a test, and hands that reach it past Fairlead. */
export interface FleetEngine {
  readonly engine: Engine;
  /** Every container of the test has it, so that others on the same engine are not counted. */
  readonly labels: Readonly<Record<string, string>>;
  /** A name that no container has. */
  uniqueName(): string;
  /** What a person does at the host, past Fairlead. Containers sleep. */
  readonly byHand: {
    create(name: string, labels?: Readonly<Record<string, string>>): Promise<string>;
    start(container: string): Promise<void>;
    restart(container: string): Promise<void>;
    /** With SIGKILL. */
    kill(container: string): Promise<void>;
    /** With force. */
    remove(container: string): Promise<void>;
  };
  /** The test's containers as the engine itself tells: state by id and name. */
  truth(): Promise<Record<string, string>>;
  /** Lets the engine stop; nothing answers then. Only of one that was asked for as "breakable". */
  fail(): Promise<void>;
  /** Lets it come back. */
  recover(): Promise<void>;
  /** Ends it. Fails when a container is left that cannot be removed. */
  dispose(): Promise<void>;
}

/** Whether a test only uses an engine, or stops it as well. */
export type EngineUse = "lasting" | "breakable";

/** Opens an engine. Skips the test where there is none. */
export type MakeFleetEngine = (context: Mocha.Context, use: EngineUse) => Promise<FleetEngine>;

/** One line of `truth`. */
export function truthLine(container: { readonly id?: string; readonly name?: string }): string {
  return `${container.id} ${container.name}`;
}

/** Docker's word for a state. */
export function stateWord(state: ContainerState | undefined): string {
  return ContainerState[state ?? ContainerState.UNSPECIFIED].toLowerCase();
}

/** A simulated engine. */
export function simulatedFleetEngine(
  options: Partial<ConstructorParameters<typeof SimulatedEngine>[0]> = {},
): FleetEngine & { readonly engine: SimulatedEngine } {
  const engine = new SimulatedEngine({ clock: systemClock, ...options });
  const labels = { [testLabel]: uniqueName("fleet") };
  return {
    engine,
    labels,
    uniqueName: () => uniqueName("fleet"),
    byHand: {
      create: (name, more) =>
        engine.createContainer(name, sleepingSpec({ ...labels, ...more }), neverAborted),
      async start(container) {
        await engine.startContainer(container, neverAborted);
      },
      async restart(container) {
        await engine.restartContainer(container, 0, neverAborted);
      },
      async kill(container) {
        await engine.killContainer(container, "SIGKILL", neverAborted);
      },
      async remove(container) {
        await engine.removeContainer(container, { force: true, removeVolumes: true }, neverAborted);
      },
    },
    async truth() {
      const containers = await engine.listContainers(neverAborted);
      const own = containers.filter((container) => container.labels?.[testLabel] === labels[testLabel]);
      return Object.fromEntries(own.map((container) => [truthLine(container), stateWord(container.state)]));
    },
    fail: async () => engine.setAvailable(false),
    recover: async () => engine.setAvailable(true),
    dispose: () => engine.close(),
  };
}

/** A real engine. `after` is called when its connections are closed, and takes the containers away. */
export function dockerFleetEngine(
  docker: Docker,
  parts: {
    readonly socketPath: string;
    readonly subject: string;
    readonly fail: () => Promise<void>;
    readonly recover: () => Promise<void>;
    readonly after: () => Promise<void>;
  },
): FleetEngine {
  const { socketPath, subject, fail, recover, after } = parts;
  const engine = engineAtSocket(socketPath);
  const labels = { [testLabel]: subject };
  return {
    engine,
    labels,
    uniqueName: () => uniqueName(subject),
    byHand: {
      async create(name, more) {
        const Labels = { ...labels, ...more };
        const { id } = await docker.createContainer({
          name,
          Image: fleetImage,
          Cmd: ["sleep", "600"],
          Labels,
        });
        return id;
      },
      async start(container) {
        await docker.getContainer(container).start();
      },
      async restart(container) {
        await docker.getContainer(container).restart({ t: 0 });
      },
      async kill(container) {
        await docker.getContainer(container).kill();
      },
      async remove(container) {
        await docker.getContainer(container).remove({ force: true, v: true });
      },
    },
    async truth() {
      const filters = { label: [`${testLabel}=${subject}`] };
      const found = await docker.listContainers({ all: true, filters });
      return Object.fromEntries(
        found.map(({ Id, Names, State }) => [
          truthLine({ id: Id, name: (Names[0] ?? "").replace("/", "") }),
          State,
        ]),
      );
    },
    fail,
    recover,
    async dispose() {
      await engine.close();
      await after();
    },
  };
}
