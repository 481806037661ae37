import { connect, type Socket } from "node:net";
import { toJsonString } from "@bufbuild/protobuf";
import type {
  Engine,
  EngineChange,
  EngineContainer,
  EngineDiskUsage,
  EngineExit,
  EngineFacts,
  EngineFileChange,
  EngineNotice,
  EngineProcesses,
} from "../../../src/agent/engine/engine.ts";
import type { EngineArchive, EnginePathFacts } from "../../../src/agent/engine/engine-files.ts";
import type { HostUsage } from "../../../src/agent/engine/engine-usage.ts";
import type { EngineProcess, ExecSpec, LogRecord } from "../../../src/agent/engine/engine-streams.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import {
  type ContainerSpec,
  ContainerSpecSchema,
} from "../../../src/gen/fairlead/container/v1/container_spec_pb.js";
import {
  type ContainerUpdate,
  ContainerUpdateSchema,
} from "../../../src/gen/fairlead/container/v1/container_update_pb.js";
import * as wire from "./engine-wire.ts";

type Details = Partial<Omit<wire.EngineRequest, "method" | "incarnation" | "askedMs">>;

/** An engine in another process, reached through its socket as Docker's is. */
export class RemoteEngine implements Engine {
  readonly kind = "simulated";
  readonly #path: string;
  readonly #incarnation: number;
  readonly #sockets = new Set<Socket>();

  constructor(options: { readonly path: string; readonly incarnation: number }) {
    this.#path = options.path;
    this.#incarnation = options.incarnation;
  }

  async facts(signal: AbortSignal): Promise<EngineFacts> {
    return wire.factsFromJson(await this.#call("facts", {}, signal));
  }

  async listContainers(signal: AbortSignal): Promise<EngineContainer[]> {
    const list = (await this.#call("list", {}, signal)) as unknown[];
    return list.map(wire.containerFromJson);
  }

  async getContainer(container: string, signal: AbortSignal): Promise<EngineContainer> {
    return wire.containerFromJson(await this.#call("get", { container }, signal));
  }

  async inspectContainer(container: string, signal: AbortSignal) {
    const found = await this.#call("inspect", { container }, signal);
    const { container: described, engineJson } = found as { container: unknown; engineJson: string };
    return { container: wire.containerFromJson(described), engineJson };
  }

  async createContainer(name: string, spec: ContainerSpec, signal: AbortSignal): Promise<string> {
    const argument = toJsonString(ContainerSpecSchema, spec);
    return (await this.#call("create", { container: name, argument }, signal)) as string;
  }

  startContainer(container: string, signal: AbortSignal): Promise<EngineChange> {
    return this.#change("start", { container }, signal);
  }

  stopContainer(container: string, graceMs: number | undefined, signal: AbortSignal): Promise<EngineChange> {
    return this.#change("stop", { container, ...grace(graceMs) }, signal);
  }

  restartContainer(
    container: string,
    graceMs: number | undefined,
    signal: AbortSignal,
  ): Promise<EngineChange> {
    return this.#change("restart", { container, ...grace(graceMs) }, signal);
  }

  killContainer(container: string, signalName: string, signal: AbortSignal): Promise<EngineChange> {
    return this.#change("kill", { container, argument: signalName }, signal);
  }

  pauseContainer(container: string, signal: AbortSignal): Promise<EngineChange> {
    return this.#change("pause", { container }, signal);
  }

  unpauseContainer(container: string, signal: AbortSignal): Promise<EngineChange> {
    return this.#change("unpause", { container }, signal);
  }

  renameContainer(container: string, newName: string, signal: AbortSignal): Promise<EngineChange> {
    return this.#change("rename", { container, argument: newName }, signal);
  }

  removeContainer(
    container: string,
    options: { readonly force: boolean; readonly removeVolumes: boolean },
    signal: AbortSignal,
  ): Promise<EngineChange> {
    return this.#change("remove", { container, ...options }, signal);
  }

  updateContainer(container: string, update: ContainerUpdate, signal: AbortSignal): Promise<EngineChange> {
    const argument = toJsonString(ContainerUpdateSchema, update);
    return this.#change("update", { container, argument }, signal);
  }

  /** Resolves when the process has ended: nobody can talk with it. */
  async exec(container: string, { command }: ExecSpec, signal: AbortSignal): Promise<EngineProcess> {
    const argument = JSON.stringify(command);
    return processThat((await this.#call("exec", { container, argument }, signal)) as wire.EndedProcess);
  }

  async *watch(signal: AbortSignal, sinceNs?: bigint): AsyncGenerator<EngineNotice> {
    if (signal.aborted) return;
    const since = sinceNs === undefined ? {} : { sinceNs: `${sinceNs}` };
    const call = new RemoteCall(this.#path, "watch", signal);
    this.#sockets.add(call.socket);
    try {
      for await (const value of call.values(this.#request("watch", since))) yield wire.noticeFromJson(value);
      throw new FleetError("ENGINE_UNAVAILABLE", "the engine ended its event stream");
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      call.close();
      this.#sockets.delete(call.socket);
    }
  }

  async diskUsage(): Promise<EngineDiskUsage> {
    throw new FleetError("OPERATION_UNSUPPORTED", "an engine in another process has no disk");
  }

  async listProcesses(): Promise<EngineProcesses> {
    throw new FleetError("OPERATION_UNSUPPORTED", "an engine in another process tells of no processes");
  }

  async waitContainer(): Promise<EngineExit> {
    throw new FleetError("OPERATION_UNSUPPORTED", "an engine in another process lets nobody wait");
  }

  async listChanges(): Promise<EngineFileChange[]> {
    throw new FleetError("OPERATION_UNSUPPORTED", "an engine in another process tells of no files");
  }

  /** Its socket carries commands and events alone. */
  logs(): AsyncIterable<readonly LogRecord[]> {
    throw new FleetError("OPERATION_UNSUPPORTED", "an engine in another process has no logs");
  }

  async statPath(): Promise<EnginePathFacts> {
    throw new FleetError("OPERATION_UNSUPPORTED", "an engine in another process has no files");
  }

  async getArchive(): Promise<EngineArchive> {
    throw new FleetError("OPERATION_UNSUPPORTED", "an engine in another process has no files");
  }

  async putArchive(): Promise<void> {
    throw new FleetError("OPERATION_UNSUPPORTED", "an engine in another process has no files");
  }

  async usage(): Promise<undefined> {
    throw new FleetError("OPERATION_UNSUPPORTED", "an engine in another process is not measured");
  }

  async hostUsage(): Promise<HostUsage> {
    throw new FleetError("OPERATION_UNSUPPORTED", "an engine in another process is not measured");
  }

  async attach(): Promise<EngineProcess> {
    throw new FleetError("OPERATION_UNSUPPORTED", "an engine in another process lets nobody attach");
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
  }

  #request(method: string, details: Details): wire.EngineRequest {
    const askedMs = Date.now();
    return { method, incarnation: this.#incarnation, askedMs, container: "", argument: "", ...details };
  }

  async #change(method: string, details: Details, signal: AbortSignal): Promise<EngineChange> {
    return (await this.#call(method, details, signal)) as EngineChange;
  }

  async #call(method: string, details: Details, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    const call = new RemoteCall(this.#path, method, signal);
    this.#sockets.add(call.socket);
    try {
      for await (const value of call.values(this.#request(method, details))) return value;
      throw call.broken();
    } finally {
      call.close();
      this.#sockets.delete(call.socket);
    }
  }
}

/** One call over a connection of its own. Whoever makes it must close it. */
class RemoteCall {
  readonly socket: Socket;
  readonly #method: string;
  readonly #signal: AbortSignal;
  #sent = false;
  readonly #onAbort = () => this.socket.destroy();

  constructor(path: string, method: string, signal: AbortSignal) {
    this.#method = method;
    this.#signal = signal;
    this.socket = connect(path);
    // What went wrong is seen by whoever reads.
    this.socket.on("error", () => undefined);
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Sends the request once connected, and reads answers until the connection ends. */
  async *values(request: wire.EngineRequest): AsyncIterableIterator<unknown> {
    this.socket.once("connect", () => {
      // From here on it may have arrived, whatever happens next.
      this.#sent = true;
      this.socket.write(wire.lineFrom(request));
    });
    let text = "";
    try {
      for await (const chunk of this.socket.setEncoding("utf8")) {
        const lines = `${text}${chunk}`.split("\n");
        text = lines.pop() ?? "";
        for (const line of lines) yield wire.valueOf(JSON.parse(line) as wire.EngineReply);
      }
    } catch (error) {
      if (error instanceof FleetError) throw error;
    }
    throw this.broken();
  }

  /** What a connection means that ended without an answer. */
  broken(): unknown {
    if (this.#signal.aborted) return this.#signal.reason;
    const mayBeDone = this.#sent && wire.changingMethods.has(this.#method);
    return mayBeDone
      ? new FleetError("OUTCOME_UNKNOWN", "the connection to the engine broke in the middle of a change")
      : new FleetError("ENGINE_UNAVAILABLE", "the engine does not answer");
  }

  close(): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.socket.destroy();
  }
}

const ignored = () => Promise.resolve();

/** A process that has ended. */
function processThat({ exitCode, text }: wire.EndedProcess): EngineProcess {
  const pieces = [{ stream: "stdout", data: Buffer.from(text) }] as const;
  return {
    output: (async function* () {
      yield* pieces;
    })(),
    exitCode: () => Promise.resolve(exitCode),
    write: ignored,
    closeInput: ignored,
    resize: ignored,
    kill: ignored,
    signal: ignored,
  };
}

function grace(graceMs: number | undefined): Details {
  return graceMs === undefined ? {} : { graceMs };
}
