import type { Logger } from "pino";
import { FleetError } from "../../domain/errors.ts";
import { ContainerState } from "../../gen/fairlead/container/v1/container_pb.js";
import type { ContainerSpec } from "../../gen/fairlead/container/v1/container_spec_pb.js";
import type { ContainerUpdate } from "../../gen/fairlead/container/v1/container_update_pb.js";
import type { Clock } from "../../resilience/clock.ts";
import { isConflict, isGone } from "./docker-errors.ts";
import { DockerConnection } from "./docker-connection.ts";
import { createContainer } from "./docker-create.ts";
import { readDiskUsage } from "./docker-disk-usage.ts";
import type { DockerEndpoint } from "./docker-endpoint.ts";
import { DockerLookup, pathOf } from "./docker-lookup.ts";
import { watchContainers } from "./docker-watch.ts";
import { factsFromDocker } from "./docker-facts.ts";
import type { DockerInfo, DockerStats } from "./docker-json.ts";
import { archiveOf, factsFromHead } from "./docker-files.ts";
import type { EngineArchive, EnginePathFacts, UnpackOptions } from "./engine-files.ts";
import { usageFromDocker } from "./docker-usage.ts";
import type { ContainerUsage, HostUsage } from "./engine-usage.ts";
import { readHostUsage } from "./host-usage.ts";
import { changedMembers } from "./docker-limits.ts";
import { listChanges, listProcesses } from "./docker-observations.ts";
import { waitContainer } from "./docker-wait.ts";
import { readLogs } from "./docker-logs.ts";
import { startExec } from "./docker-exec.ts";
import { attach } from "./docker-attach.ts";
import type { AttachOptions, EngineProcess, ExecSpec, LogQuery, LogRecord } from "./engine-streams.ts";
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

const changed: EngineChange = { changed: true };
const unchanged: EngineChange = { changed: false };

/** A Docker Engine, API 1.41 or newer. Nothing is connected before the first call. */
export class DockerEngine implements Engine {
  readonly kind = "docker";
  readonly #connection: DockerConnection;
  readonly #lookup: DockerLookup;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(options: {
    readonly endpoint: DockerEndpoint;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#connection = new DockerConnection(options.endpoint);
    this.#lookup = new DockerLookup({ ...options, connection: this.#connection });
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  async facts(signal: AbortSignal): Promise<EngineFacts> {
    const [info, version] = await Promise.all([
      this.#connection.requestJson<DockerInfo>({ method: "GET", path: "/info" }, signal),
      this.#connection.requestJson<{ ApiVersion?: string }>({ method: "GET", path: "/version" }, signal),
    ]);
    return factsFromDocker(info, version);
  }

  listContainers(signal: AbortSignal): Promise<EngineContainer[]> {
    return this.#lookup.list(signal);
  }

  async getContainer(container: string, signal: AbortSignal): Promise<EngineContainer> {
    return (await this.#lookup.look(container, signal)).container;
  }

  inspectContainer(
    container: string,
    signal: AbortSignal,
  ): Promise<{ readonly container: EngineContainer; readonly engineJson: string }> {
    return this.#lookup.look(container, signal);
  }

  async createContainer(name: string, spec: ContainerSpec, signal: AbortSignal): Promise<string> {
    return createContainer(this.#connection, name, spec, signal);
  }

  async startContainer(container: string, signal: AbortSignal): Promise<EngineChange> {
    return this.#act(container, "/start", {}, signal);
  }

  async stopContainer(
    container: string,
    graceMs: number | undefined,
    signal: AbortSignal,
  ): Promise<EngineChange> {
    return this.#act(container, "/stop", { t: wholeSeconds(graceMs) }, signal);
  }

  async restartContainer(
    container: string,
    graceMs: number | undefined,
    signal: AbortSignal,
  ): Promise<EngineChange> {
    return this.#act(container, "/restart", { t: wholeSeconds(graceMs) }, signal);
  }

  async killContainer(container: string, signalName: string, signal: AbortSignal): Promise<EngineChange> {
    return this.#act(container, "/kill", { signal: signalName || "SIGKILL" }, signal);
  }

  async pauseContainer(container: string, signal: AbortSignal): Promise<EngineChange> {
    return this.#unlessAlready(
      this.#act(container, "/pause", {}, signal),
      container,
      ({ state }) => state === ContainerState.PAUSED,
      signal,
    );
  }

  async unpauseContainer(container: string, signal: AbortSignal): Promise<EngineChange> {
    return this.#unlessAlready(
      this.#act(container, "/unpause", {}, signal),
      container,
      ({ state }) => state !== ContainerState.PAUSED,
      signal,
    );
  }

  async renameContainer(container: string, newName: string, signal: AbortSignal): Promise<EngineChange> {
    return this.#unlessAlready(
      this.#act(container, "/rename", { name: newName }, signal),
      container,
      ({ name }) => name === newName,
      signal,
    );
  }

  async removeContainer(
    container: string,
    options: { readonly force: boolean; readonly removeVolumes: boolean },
    signal: AbortSignal,
  ): Promise<EngineChange> {
    const query = { force: options.force, v: options.removeVolumes };
    try {
      await this.#lookup.named(container, signal, () =>
        this.#connection.request({ method: "DELETE", path: pathOf(container, ""), query }, signal),
      );
      return changed;
    } catch (error) {
      if (!isConflict(error, /removal of container .* is already in progress/i)) {
        throw error;
      }
      await this.#waitUntilRemoved(container, signal);
      return unchanged;
    }
  }

  async updateContainer(
    container: string,
    update: ContainerUpdate,
    signal: AbortSignal,
  ): Promise<EngineChange> {
    const { Id, HostConfig } = await this.#lookup.inspect(container, signal);
    const body = changedMembers(update, HostConfig ?? {});
    if (Object.keys(body).length === 0) {
      return unchanged;
    }
    await this.#connection.request({ method: "POST", path: pathOf(Id, "/update"), body }, signal);
    return changed;
  }

  async listProcesses(container: string, psOptions: string, signal: AbortSignal): Promise<EngineProcesses> {
    return this.#lookup.named(container, signal, () =>
      listProcesses(this.#connection, pathOf(container, ""), psOptions, signal),
    );
  }

  async waitContainer(
    container: string,
    condition: EngineWaitCondition,
    signal: AbortSignal,
  ): Promise<EngineExit> {
    return this.#lookup.named(container, signal, () =>
      waitContainer(this.#connection, pathOf(container, ""), condition, signal),
    );
  }

  async listChanges(container: string, signal: AbortSignal): Promise<EngineFileChange[]> {
    return this.#lookup.named(container, signal, () =>
      listChanges(this.#connection, pathOf(container, ""), signal),
    );
  }

  logs(container: string, query: LogQuery, signal: AbortSignal): AsyncIterable<readonly LogRecord[]> {
    return readLogs(this.#connection, this.#lookup.inspectorOf(container), query, signal);
  }

  exec(container: string, spec: ExecSpec, signal: AbortSignal): Promise<EngineProcess> {
    return startExec(
      {
        connection: this.#connection,
        clock: this.#clock,
        logger: this.#logger,
        inspect: this.#lookup.inspectorOf(container),
      },
      spec,
      signal,
    );
  }

  attach(container: string, options: AttachOptions, signal: AbortSignal): Promise<EngineProcess> {
    const inspect = this.#lookup.inspectorOf(container);
    return attach({ connection: this.#connection, clock: this.#clock, inspect }, options, signal);
  }

  async statPath(container: string, path: string, signal: AbortSignal): Promise<EnginePathFacts> {
    try {
      const headers = await this.#connection.head(
        { method: "HEAD", path: pathOf(container, "/archive"), query: { path } },
        signal,
      );
      return factsFromHead({ headers });
    } catch (error) {
      const isMissing = error instanceof FleetError && error.metadata["engine_status"] === "404";
      if (!isMissing) throw error;
      // Without words it says only that one of the two is not there.
      await this.#lookup.inspect(container, signal);
      throw new FleetError("PATH_NOT_FOUND", `there is no ${JSON.stringify(path)} in container ${container}`);
    }
  }

  async getArchive(container: string, path: string, signal: AbortSignal): Promise<EngineArchive> {
    const response = await this.#lookup.named(container, signal, () =>
      this.#connection.open({ method: "GET", path: pathOf(container, "/archive"), query: { path } }, signal),
    );
    const { address } = this.#connection;
    return { facts: factsFromHead(response), chunks: archiveOf(response, { address, signal }) };
  }

  async putArchive(
    container: string,
    path: string,
    chunks: AsyncIterable<Uint8Array>,
    { copyOwners, allowOverwriteKind }: UnpackOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const query = {
      path,
      ...(copyOwners && { copyUIDGID: true }),
      ...(!allowOverwriteKind && { noOverwriteDirNonDir: true }),
    };
    const call = { method: "PUT", path: pathOf(container, "/archive"), query } as const;
    await this.#connection.upload(call, chunks, signal);
  }

  async usage(container: string, signal: AbortSignal): Promise<ContainerUsage | undefined> {
    // Without "one-shot" Docker would take a second reading itself, which takes it two seconds.
    const call = {
      method: "GET",
      path: pathOf(container, "/stats"),
      query: { stream: false, "one-shot": true },
    } as const;
    const stats = await this.#lookup.named(container, signal, () =>
      this.#connection.requestJson<DockerStats>(call, signal),
    );
    return usageFromDocker(stats);
  }

  async hostUsage(signal: AbortSignal): Promise<HostUsage> {
    const info = await this.#connection.requestJson<DockerInfo>({ method: "GET", path: "/info" }, signal);
    return readHostUsage(info.DockerRootDir, this.#clock);
  }

  diskUsage(signal: AbortSignal) {
    return readDiskUsage(this.#connection, signal);
  }

  watch(signal: AbortSignal, sinceNs?: bigint): AsyncIterable<EngineNotice> {
    return watchContainers({ connection: this.#connection, logger: this.#logger, sinceNs }, signal);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  async #act(
    container: string,
    verb: string,
    query: Readonly<Record<string, string | number | undefined>>,
    signal: AbortSignal,
  ): Promise<EngineChange> {
    const { status } = await this.#lookup.named(container, signal, () =>
      this.#connection.request({ method: "POST", path: pathOf(container, verb), query }, signal),
    );
    return status === 304 ? unchanged : changed;
  }

  /** What Docker calls an error although the container is as it was wished to be. */
  async #unlessAlready(
    attempt: Promise<EngineChange>,
    container: string,
    isAlready: (container: EngineContainer) => boolean,
    signal: AbortSignal,
  ): Promise<EngineChange> {
    try {
      return await attempt;
    } catch (error) {
      const refused =
        error instanceof FleetError && (error.reason === "CONFLICT" || error.reason === "INVALID_ARGUMENT");
      if (refused && isAlready(await this.getContainer(container, signal))) {
        return unchanged;
      }
      throw error;
    }
  }

  async #waitUntilRemoved(container: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#connection.request(
        { method: "POST", path: pathOf(container, "/wait"), query: { condition: "removed" } },
        signal,
      );
    } catch (error) {
      if (!isGone(error)) {
        throw error;
      }
    }
  }
}

function wholeSeconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : Math.ceil(milliseconds / 1000);
}
