import { constants } from "node:os";
import { FleetError } from "../../domain/errors.ts";
import type { ContainerSpec } from "../../gen/fairlead/container/v1/container_spec_pb.js";
import type { ContainerUpdate } from "../../gen/fairlead/container/v1/container_update_pb.js";
import { containerFromInspection } from "./docker-container.ts";
import { failureFromAnswer } from "./docker-errors.ts";
import type {
  Engine,
  EngineChange,
  EngineContainer,
  EngineExit,
  EngineFacts,
  EngineFileChange,
  EngineNotice,
  EngineProcesses,
  EngineWaitCondition,
} from "./engine.ts";
import type { AttachOptions, EngineProcess, ExecSpec, LogQuery, LogRecord } from "./engine-streams.ts";
import type { EngineArchive, EnginePathFacts, UnpackOptions } from "./engine-files.ts";
import type { ContainerUsage, HostUsage } from "./engine-usage.ts";
import { simulatedHostUsage, simulatedMachine, simulatedUsage } from "./simulated-usage.ts";
import { simulatedDiskUsage } from "./simulated-disk-usage.ts";
import { momentFromMilliseconds } from "./rfc3339.ts";
import { inventHex } from "./simulated-names.ts";
import type { SimulatedContainer } from "./simulated-container.ts";
import { SimulatedHost } from "./simulated-host.ts";
import { inventPopulation } from "./simulated-population.ts";
import type { SimulatedCall, SimulatedEngineOptions } from "./simulated-engine-options.ts";
import { processTable } from "./simulated-ps.ts";
import { updateSimulatedContainer } from "./simulated-update.ts";
import { parseSignal } from "./linux-signals.ts";

/** The first process of every container; the others follow. */
const firstPid = 4242;

const changed: EngineChange = { changed: true };
const unchanged: EngineChange = { changed: false };

/**
 * An engine in memory that behaves like Docker's, for trying Fairlead without Docker and for tests. Processes behave as
 * `processOfCommand` says. Restart policies are kept but not followed, and there is no health.
 */
export class SimulatedEngine implements Engine {
  readonly kind = "simulated";
  readonly #options: SimulatedEngineOptions;
  readonly #engineId: string;
  readonly #host: SimulatedHost;
  #available = true;

  constructor(options: SimulatedEngineOptions) {
    const { clock, random = Math.random, images = [], networks = [] } = options;
    this.#options = options;
    this.#engineId = options.engineId ?? `simulated-${inventHex(32, random)}`;
    this.#host = new SimulatedHost({ clock, random, images, networks });
    for (const { name, spec, running } of inventPopulation(options.containers ?? 0)) {
      const container = this.#host.create(name, spec);
      if (running) {
        this.#host.start(container);
      }
    }
  }

  /** Plays an engine that stops (calls and streams say `ENGINE_UNAVAILABLE`) and comes back. Containers are untouched. */
  setAvailable(available: boolean): void {
    this.#available = available;
    if (!available) {
      this.#host.breakStreams();
    }
  }

  /** How many streams are open now, without those of events. For tests that look whether something is left. */
  get open(): SimulatedHost["open"] & { readonly waits: number } {
    return { ...this.#host.open, waits: this.#host.waits.size };
  }

  /** The command lines of all processes of a container. For tests that look whether something is left. */
  processesOf(container: string): string[] {
    const { run, command, execs } = this.#host.containers.find(container);
    const own = run === undefined ? [] : [command.join(" ")];
    return [...own, ...[...execs].map((exec) => exec.command.join(" "))];
  }

  async facts(signal: AbortSignal): Promise<EngineFacts> {
    await this.#arrive(signal);
    return {
      engineId: this.#engineId,
      hostname: this.#options.hostname ?? "simulated",
      operatingSystem: "Simulated",
      kernelVersion: "0.0.0-simulated",
      architecture: "x86_64",
      engineVersion: "simulated",
      engineApiVersion: "1.41",
      ...simulatedMachine,
      simulated: true,
    };
  }

  async listContainers(signal: AbortSignal): Promise<EngineContainer[]> {
    await this.#arrive(signal);
    return this.#host.containers.all().map((container) => this.#describe(container));
  }

  async getContainer(container: string, signal: AbortSignal): Promise<EngineContainer> {
    await this.#arrive(signal);
    return this.#describe(this.#host.containers.find(container));
  }

  async inspectContainer(
    container: string,
    signal: AbortSignal,
  ): Promise<{ readonly container: EngineContainer; readonly engineJson: string }> {
    await this.#arrive(signal);
    const found = this.#host.containers.find(container);
    return { container: this.#describe(found), engineJson: JSON.stringify(found.inspect()) };
  }

  async createContainer(name: string, spec: ContainerSpec, signal: AbortSignal): Promise<string> {
    await this.#arrive(signal, { method: "create", container: name, argument: "" });
    return this.#host.create(name, spec).id;
  }

  async startContainer(container: string, signal: AbortSignal): Promise<EngineChange> {
    await this.#arrive(signal, { method: "start", container, argument: "" });
    const found = this.#host.containers.find(container);
    if (found.paused) {
      throw failureFromAnswer(409, "cannot start a paused container, try unpause instead");
    }
    if (found.run !== undefined) {
      return unchanged;
    }
    this.#host.start(found);
    return changed;
  }

  async stopContainer(
    container: string,
    graceMs: number | undefined,
    signal: AbortSignal,
  ): Promise<EngineChange> {
    await this.#arrive(signal, { method: "stop", container, argument: "" });
    const found = this.#host.containers.find(container);
    return (await this.#host.stop(found, graceMs, signal)) ? changed : unchanged;
  }

  async restartContainer(
    container: string,
    graceMs: number | undefined,
    signal: AbortSignal,
  ): Promise<EngineChange> {
    await this.#arrive(signal, { method: "restart", container, argument: "" });
    const found = this.#host.containers.find(container);
    await this.#host.stop(found, graceMs, signal);
    // It may have gone meanwhile.
    this.#host.containers.find(found.id);
    if (found.run === undefined) {
      this.#host.start(found);
    }
    return changed;
  }

  async killContainer(container: string, signalName: string, signal: AbortSignal): Promise<EngineChange> {
    await this.#arrive(signal, { method: "kill", container, argument: signalName });
    const signalNumber = parseSignal(signalName);
    const found = this.#host.containers.find(container);
    if (found.run === undefined) {
      throw failureFromAnswer(
        409,
        `Cannot kill container: ${container}: Container ${found.id} is not running`,
      );
    }
    this.#host.signal(found, signalNumber);
    return changed;
  }

  async pauseContainer(container: string, signal: AbortSignal): Promise<EngineChange> {
    await this.#arrive(signal, { method: "pause", container, argument: "" });
    const found = this.#host.containers.find(container);
    if (found.run === undefined) {
      throw failureFromAnswer(409, `Container ${found.id} is not running`);
    }
    if (found.paused) {
      return unchanged;
    }
    this.#host.pause(found);
    return changed;
  }

  async unpauseContainer(container: string, signal: AbortSignal): Promise<EngineChange> {
    await this.#arrive(signal, { method: "unpause", container, argument: "" });
    const found = this.#host.containers.find(container);
    if (!found.paused) {
      return unchanged;
    }
    this.#host.unpause(found);
    return changed;
  }

  async renameContainer(container: string, newName: string, signal: AbortSignal): Promise<EngineChange> {
    await this.#arrive(signal, { method: "rename", container, argument: newName });
    const found = this.#host.containers.find(container);
    if (found.name === newName) {
      return unchanged;
    }
    this.#host.containers.checkName(newName);
    this.#host.rename(found, newName);
    return changed;
  }

  async removeContainer(
    container: string,
    options: { readonly force: boolean; readonly removeVolumes: boolean },
    signal: AbortSignal,
  ): Promise<EngineChange> {
    await this.#arrive(signal, { method: "remove", container, argument: "" });
    const found = this.#host.containers.find(container);
    if (found.run !== undefined && !options.force) {
      throw failureFromAnswer(
        409,
        `You cannot remove a ${found.status} container ${found.id}. Stop the container before attempting removal or force remove`,
      );
    }
    this.#host.signal(found, constants.signals.SIGKILL);
    this.#host.remove(found);
    return changed;
  }

  async updateContainer(
    container: string,
    update: ContainerUpdate,
    signal: AbortSignal,
  ): Promise<EngineChange> {
    await this.#arrive(signal, { method: "update", container, argument: "" });
    const found = this.#host.containers.find(container);
    if (!updateSimulatedContainer(found, update, simulatedMachine.cpuCount)) {
      return unchanged;
    }
    this.#host.updated(found);
    return changed;
  }

  async listProcesses(container: string, psOptions: string, signal: AbortSignal): Promise<EngineProcesses> {
    await this.#arrive(signal);
    const { id, run, command, execs } = this.#host.containers.find(container);
    if (run === undefined) {
      throw failureFromAnswer(409, `Container ${id} is not running`);
    }
    const commands = [command, ...[...execs].map((exec) => exec.command)];
    const processes = commands.map((line, index) => ({
      pid: firstPid + index,
      ppid: firstPid - 1,
      command: line,
    }));
    return processTable(processes, psOptions);
  }

  async waitContainer(
    container: string,
    condition: EngineWaitCondition,
    signal: AbortSignal,
  ): Promise<EngineExit> {
    await this.#arrive(signal);
    return await this.#host.waits.wait(this.#host.containers.find(container), condition, signal);
  }

  async listChanges(container: string, signal: AbortSignal): Promise<EngineFileChange[]> {
    await this.#arrive(signal);
    return this.#host.containers.find(container).files.changes();
  }

  async *logs(container: string, query: LogQuery, signal: AbortSignal): AsyncGenerator<readonly LogRecord[]> {
    await this.#arrive(signal);
    const found = this.#host.containers.find(container);
    if (!query.stdout && !query.stderr) {
      throw failureFromAnswer(400, "Bad parameters: you must choose at least one stream");
    }
    yield* this.#host.readLog(found, query, signal);
  }

  async exec(container: string, spec: ExecSpec, signal: AbortSignal): Promise<EngineProcess> {
    await this.#arrive(signal, { method: "exec", container, argument: "" });
    const found = this.#host.containers.find(container);
    if (spec.command.length === 0) {
      throw failureFromAnswer(400, "No exec command specified");
    }
    if (found.run === undefined) {
      throw failureFromAnswer(409, `Container ${found.id} is not running`);
    }
    if (found.paused) {
      throw failureFromAnswer(409, `Container ${found.id} is paused, unpause the container before exec`);
    }
    return this.#host.exec(found, spec);
  }

  async attach(container: string, options: AttachOptions, signal: AbortSignal): Promise<EngineProcess> {
    await this.#arrive(signal);
    return this.#host.attach(this.#host.containers.find(container), options);
  }

  async statPath(container: string, path: string, signal: AbortSignal): Promise<EnginePathFacts> {
    await this.#arrive(signal);
    return this.#host.containers.find(container).disk.facts(path);
  }

  async getArchive(container: string, path: string, signal: AbortSignal): Promise<EngineArchive> {
    await this.#arrive(signal);
    const { disk } = this.#host.containers.find(container);
    return { facts: disk.facts(path), chunks: this.#host.streamed(disk.pack(path), signal) };
  }

  async putArchive(
    container: string,
    path: string,
    chunks: AsyncIterable<Uint8Array>,
    options: UnpackOptions,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#arrive(signal);
    const { disk } = this.#host.containers.find(container);
    await disk.unpack(path, chunks, options);
  }

  async usage(container: string, signal: AbortSignal): Promise<ContainerUsage | undefined> {
    await this.#arrive(signal);
    return simulatedUsage(this.#host.containers.find(container), this.#options.clock.now());
  }

  async hostUsage(signal: AbortSignal): Promise<HostUsage> {
    await this.#arrive(signal);
    return simulatedHostUsage(this.#host.containers.all(), this.#options.clock.now());
  }

  async diskUsage(signal: AbortSignal) {
    await this.#arrive(signal);
    return simulatedDiskUsage(this.#host.containers.all());
  }

  async *watch(signal: AbortSignal, sinceNs?: bigint): AsyncGenerator<EngineNotice> {
    try {
      await this.#arrive(signal);
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      throw error;
    }
    yield* this.#host.events.follow(signal, sinceNs);
  }

  async close(): Promise<void> {
    this.#available = false;
    this.#host.close();
  }

  async #arrive(signal: AbortSignal, call?: SimulatedCall): Promise<void> {
    signal.throwIfAborted();
    if ((this.#options.latencyMs ?? 0) > 0) {
      await this.#options.clock.sleep(this.#options.latencyMs ?? 0, signal);
    }
    if (!this.#available) {
      throw new FleetError("ENGINE_UNAVAILABLE", "the simulated engine does not answer");
    }
    if (call !== undefined) {
      this.#options.observe?.(call);
    }
  }

  #describe(container: SimulatedContainer): EngineContainer {
    return containerFromInspection(container.inspect(), momentFromMilliseconds(this.#options.clock.now()));
  }
}
