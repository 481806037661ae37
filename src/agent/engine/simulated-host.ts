import { FleetError } from "../../domain/errors.ts";
import { ContainerAction } from "../../gen/fairlead/agent/v1/inventory_pb.js";
import type { ContainerSpec } from "../../gen/fairlead/container/v1/container_spec_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { failureFromAnswer } from "./docker-errors.ts";
import type { AttachOptions, EngineProcess, ExecSpec, LogQuery, LogRecord } from "./engine-streams.ts";
import { readSimulatedLog } from "./simulated-log-reader.ts";
import type { SimulatedContainer } from "./simulated-container.ts";
import { SimulatedContainers } from "./simulated-containers.ts";
import { createSimulatedContainer } from "./simulated-creation.ts";
import { SimulatedAttach } from "./simulated-attach.ts";
import { SimulatedExec } from "./simulated-exec.ts";
import { SimulatedEvents } from "./simulated-events.ts";
import { SimulatedImages } from "./simulated-images.ts";
import type { Random } from "./simulated-names.ts";
import { publishPorts } from "./simulated-ports.ts";
import { parseSignal } from "./linux-signals.ts";
import { SimulatedWaits } from "./simulated-waits.ts";
import { processOfCommand } from "./simulated-process.ts";
import { SimulatedRun } from "./simulated-run.ts";

const defaultGraceMs = 10_000;

/**
 * What a simulated engine manages: containers with their lives, and the facts about them that it tells. Its methods do what
 * they say without asking whether Docker would allow it; that is the engine's part.
 */
export class SimulatedHost {
  readonly containers = new SimulatedContainers();
  readonly events: SimulatedEvents;
  readonly waits = new SimulatedWaits();
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #images: SimulatedImages;
  readonly #networks: ReadonlySet<string>;
  #breaks = 0;
  #openLogs = 0;
  #openArchives = 0;
  readonly #openProcesses = new Set<EngineProcess>();

  constructor(options: {
    readonly clock: Clock;
    readonly random: Random;
    readonly images: readonly string[];
    readonly networks: readonly string[];
  }) {
    this.#clock = options.clock;
    this.events = new SimulatedEvents(options.clock);
    this.#random = options.random;
    this.#images = new SimulatedImages(options.images);
    this.#networks = new Set(["bridge", "host", "none", ...options.networks]);
  }

  /** The streams that are open now, without those of events. */
  get open(): { readonly logs: number; readonly processes: number; readonly archives: number } {
    return { logs: this.#openLogs, processes: this.#openProcesses.size, archives: this.#openArchives };
  }

  /** Throws what Docker would say to the same request. */
  create(name: string, spec: ContainerSpec): SimulatedContainer {
    const container = createSimulatedContainer(
      {
        containers: this.containers,
        images: this.#images,
        networks: this.#networks,
        random: this.#random,
        clock: this.#clock,
      },
      name,
      spec,
    );
    this.#tell(ContainerAction.CREATED, container);
    return container;
  }

  /** Starts one that does not run. Throws `CONFLICT` when a port of it is taken. */
  start(container: SimulatedContainer): void {
    const { init, stdinOpen } = container.origin.spec;
    container.bindings = publishPorts(container, this.containers.all());
    container.exitCode = 0;
    container.startTime = this.#clock.now();
    container.idleMs = 0;
    container.run = new SimulatedRun(
      processOfCommand(container.command, { init, stdinOpen }),
      this.#clock,
      (exitCode) => this.#died(container, exitCode),
      container.console.begin(),
    );
    this.#tell(ContainerAction.STARTED, container);
  }

  /** Stops one that may run; false when it did not. */
  async stop(
    container: SimulatedContainer,
    graceMs: number | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { run } = container;
    if (run === undefined) {
      return false;
    }
    const { stopSignal, stopGracePeriod } = container.origin.spec;
    const ownGraceMs =
      stopGracePeriod && Number(stopGracePeriod.seconds) * 1000 + stopGracePeriod.nanos / 1e6;
    const grace = graceMs ?? ownGraceMs ?? defaultGraceMs;
    this.events.asked(container.id);
    await run.stop(parseSignal(stopSignal || "SIGTERM"), Math.ceil(grace / 1000) * 1000, signal);
    return true;
  }

  /** Sends a signal to one that may run. */
  signal(container: SimulatedContainer, signalNumber: number): void {
    if (container.run === undefined) return;
    this.events.asked(container.id);
    container.run.signal(signalNumber);
  }

  #died(container: SimulatedContainer, exitCode: number): void {
    container.run = undefined;
    container.paused = false;
    container.exitCode = exitCode;
    container.finishTime = this.#clock.now();
    container.console.end(exitCode);
    for (const exec of container.execs) {
      exec.endWithContainer();
    }
    this.#tell(ContainerAction.DIED, container);
    this.waits.died(container);
    if (container.origin.spec.autoRemove) {
      this.remove(container);
    }
  }

  /** Freezes one that runs. */
  pause(container: SimulatedContainer): void {
    container.paused = true;
    container.pauseTime = this.#clock.now();
    container.run?.freeze();
    container.execs.forEach((exec) => exec.freeze());
    this.#tell(ContainerAction.PAUSED, container);
  }

  /** Thaws one that is paused. */
  unpause(container: SimulatedContainer): void {
    container.paused = false;
    container.idleMs += this.#clock.now() - container.pauseTime;
    this.#tell(ContainerAction.UNPAUSED, container);
    container.execs.forEach((exec) => exec.thaw());
    container.run?.thaw();
  }

  /** Gives it a name that was checked. */
  rename(container: SimulatedContainer, name: string): void {
    this.containers.rename(container, name);
    this.#tell(ContainerAction.RENAMED, container);
  }

  /** Tells that its limits are otherwise. */
  updated(container: SimulatedContainer): void {
    this.#tell(ContainerAction.UPDATED, container);
  }

  /** Removes one that does not run. Nothing happens when it is gone. */
  remove(container: SimulatedContainer): void {
    if (this.containers.has(container)) {
      this.containers.delete(container);
      container.console.cut(failureFromAnswer(404, `No such container: ${container.id}`));
      this.#tell(ContainerAction.REMOVED, container);
      this.waits.removed(container);
    }
  }

  /** Reads a log, as `Engine.logs` promises. */
  async *readLog(
    container: SimulatedContainer,
    query: LogQuery,
    signal: AbortSignal,
  ): AsyncGenerator<readonly LogRecord[]> {
    const breaks = () => this.#breaks;
    const before = breaks();
    const subject = {
      get log() {
        return container.console.log;
      },
      get running() {
        return container.run !== undefined;
      },
      get broken() {
        return breaks() !== before;
      },
    };
    this.#openLogs += 1;
    try {
      yield* readSimulatedLog(subject, query, this.#clock, signal);
    } finally {
      this.#openLogs -= 1;
    }
  }

  /** The same pieces as the engine would send them: until it stops, or the signal aborts. */
  async *streamed(pieces: Iterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const before = this.#breaks;
    this.#openArchives += 1;
    try {
      for (const piece of pieces) {
        signal.throwIfAborted();
        if (this.#breaks !== before) {
          throw new FleetError("ENGINE_UNAVAILABLE", "the simulated engine ended its answer in the middle");
        }
        yield piece;
      }
    } finally {
      this.#openArchives -= 1;
    }
  }

  /** Starts a process in one that runs. */
  exec(container: SimulatedContainer, spec: ExecSpec): EngineProcess {
    const exec = new SimulatedExec({
      clock: this.#clock,
      spec,
      environment: container.environment,
      files: container.files,
      onEnd: () => container.execs.delete(exec),
      onRelease: () => this.#openProcesses.delete(exec),
    });
    container.execs.add(exec);
    this.#openProcesses.add(exec);
    return exec;
  }

  attach(container: SimulatedContainer, options: AttachOptions): EngineProcess {
    const attached = new SimulatedAttach(container, options, () => this.#openProcesses.delete(attached));
    this.#openProcesses.add(attached);
    return attached;
  }

  /** Breaks every stream, as an engine does that stops. Processes go on. */
  breakStreams(): void {
    this.#breaks += 1;
    this.events.breakAll();
    this.waits.breakAll();
    for (const container of this.containers.all()) {
      const error = new FleetError("ENGINE_UNAVAILABLE", "the simulated engine has stopped");
      container.console.cut(error);
      container.execs.forEach((exec) => exec.cut(error));
    }
  }

  /** Ends all processes without a word, and every stream. */
  close(): void {
    this.breakStreams();
    for (const { run, execs } of this.containers.all()) {
      run?.abandon();
      execs.forEach((exec) => exec.abandon());
    }
  }

  #tell(action: ContainerAction, container: SimulatedContainer): void {
    this.events.publish({
      action,
      containerId: container.id,
      containerName: container.name,
      image: container.origin.spec.image,
      exitCode: action === ContainerAction.DIED ? container.exitCode : 0,
    });
  }
}
