import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HostFactsSchema } from "../../gen/fairlead/agent/v1/handshake_pb.js";
import type { ContainerAction } from "../../gen/fairlead/agent/v1/inventory_pb.js";
import type { ContainerSchema } from "../../gen/fairlead/container/v1/container_pb.js";
import type { ContainerUpdate } from "../../gen/fairlead/container/v1/container_update_pb.js";
import type { FilesystemChange_Kind } from "../../gen/fairlead/container/v1/filesystem_change_pb.js";
import type { ContainerSpec } from "../../gen/fairlead/container/v1/container_spec_pb.js";
import type { EngineArchive, EnginePathFacts, UnpackOptions } from "./engine-files.ts";
import type { ContainerUsage, HostUsage } from "./engine-usage.ts";
import type { AttachOptions, EngineProcess, ExecSpec, LogQuery, LogRecord } from "./engine-streams.ts";

/** A container as the engine describes it now. */
export type EngineContainer = MessageInitShape<typeof ContainerSchema> & {
  readonly id: string;
  readonly name: string;
};

/** What the engine knows of its host. */
export type EngineFacts = MessageInitShape<typeof HostFactsSchema> & { readonly engineId: string };

/** A fact from the engine's event stream, already freed of repeats (a stop that also says die is one). */
export interface EngineEvent {
  readonly action: ContainerAction;
  readonly containerId: string;
  readonly containerName: string;
  readonly image: string;
  /** Only of use when it died. */
  readonly exitCode: number;
  /** When it happened, in nanoseconds since the epoch, by the engine's clock. */
  readonly timeNs: bigint;
}

/** What things of one kind take on the disk. */
export interface EngineDiskUsageGroup {
  readonly totalCount: number;
  readonly activeCount: number;
  readonly sizeBytes: bigint;
  /** What removing those that are not in use would give back. */
  readonly reclaimableBytes: bigint;
}

/** What an engine takes on the disk of its host. */
export interface EngineDiskUsage {
  readonly images: EngineDiskUsageGroup;
  readonly containers: EngineDiskUsageGroup;
  readonly volumes: EngineDiskUsageGroup;
  readonly buildCache: EngineDiskUsageGroup;
}

/** What an engine's event stream says. */
export type EngineNotice =
  /**
   * The stream is open: nothing that happens from now on is missed. Always the first notice. With the engine's time at that moment, in
   * nanoseconds since the epoch; 0: it does not tell.
   */
  | { readonly kind: "listening"; readonly timeNs: bigint }
  | { readonly kind: "event"; readonly event: EngineEvent }
  /** Somebody asked the engine to send a signal to a container's main process, to stop it for example. */
  | { readonly kind: "asked"; readonly containerId: string; readonly timeNs: bigint };

/** What `ps` tells of a container's processes: a value for each title. */
export interface EngineProcesses {
  readonly titles: readonly string[];
  readonly processes: readonly (readonly string[])[];
}

/** A file or folder that is not as the image has it. */
export interface EngineFileChange {
  readonly path: string;
  readonly kind: FilesystemChange_Kind;
}

/** What of a container can be waited for, in Docker's words. */
export type EngineWaitCondition = "not-running" | "next-exit" | "removed";

/** How a container ended. */
export interface EngineExit {
  readonly exitCode: number;
  /** What went wrong. Empty: nothing. */
  readonly message: string;
}

/** Whether something changed; false when it was so already. */
export interface EngineChange {
  readonly changed: boolean;
}

/**
 * What an agent wants of a container engine. `container` is always a full id, an unambiguous prefix of one, or a name,
 * with Docker's own precedence (full id, name, prefix).
 *
 * Every method rejects with a `FleetError`: `CONTAINER_NOT_FOUND`, `CONTAINER_AMBIGUOUS` (metadata `candidates`),
 * `NAME_IN_USE`, `IMAGE_NOT_FOUND`, `CONFLICT`, `INVALID_ARGUMENT` with the engine's own words; `ENGINE_UNAVAILABLE` only when
 * it is certain that the engine did not get the request; `OUTCOME_UNKNOWN` when a request that changes something broke
 * after it was sent; `ENGINE_FAILED` for the rest. An abort of the signal rejects with the signal's reason.
 */
export interface Engine {
  readonly kind: "docker" | "simulated";
  /** Facts about the host. Also the way to find out whether the engine answers. */
  facts(signal: AbortSignal): Promise<EngineFacts>;
  /** Every container, running or not, each as `getContainer` would tell it. One that vanishes meanwhile is left out. */
  listContainers(signal: AbortSignal): Promise<EngineContainer[]>;
  /** One container. */
  getContainer(container: string, signal: AbortSignal): Promise<EngineContainer>;
  /** One container, and the engine's own JSON about it as it came. */
  inspectContainer(
    container: string,
    signal: AbortSignal,
  ): Promise<{ readonly container: EngineContainer; readonly engineJson: string }>;
  /** Creates a container, without starting it. Resolves to its full id. An empty name lets the engine choose. */
  createContainer(name: string, spec: ContainerSpec, signal: AbortSignal): Promise<string>;
  startContainer(container: string, signal: AbortSignal): Promise<EngineChange>;
  /** Undefined grace: the container's own setting. In seconds for the engine, rounded up. */
  stopContainer(container: string, graceMs: number | undefined, signal: AbortSignal): Promise<EngineChange>;
  restartContainer(
    container: string,
    graceMs: number | undefined,
    signal: AbortSignal,
  ): Promise<EngineChange>;
  /** Empty signal name: SIGKILL. A container that does not run is a `CONFLICT`. */
  killContainer(container: string, signalName: string, signal: AbortSignal): Promise<EngineChange>;
  pauseContainer(container: string, signal: AbortSignal): Promise<EngineChange>;
  unpauseContainer(container: string, signal: AbortSignal): Promise<EngineChange>;
  renameContainer(container: string, newName: string, signal: AbortSignal): Promise<EngineChange>;
  removeContainer(
    container: string,
    options: { readonly force: boolean; readonly removeVolumes: boolean },
    signal: AbortSignal,
  ): Promise<EngineChange>;
  /** Changes limits and restart policy; what is unset stays as it is. */
  updateContainer(container: string, update: ContainerUpdate, signal: AbortSignal): Promise<EngineChange>;
  /** The processes of a container that runs, else `CONFLICT`. Empty options: "-ef". Options that `ps` refuses are `INVALID_ARGUMENT`. */
  listProcesses(container: string, psOptions: string, signal: AbortSignal): Promise<EngineProcesses>;
  /**
   * Waits for something of a container, for ever if need be. Rejects with `ENGINE_UNAVAILABLE` when the engine goes away meanwhile; who
   * waits for the next end then with `ENGINE_FAILED`, because asking again could miss it.
   */
  waitContainer(container: string, condition: EngineWaitCondition, signal: AbortSignal): Promise<EngineExit>;
  /** What differs between a container's files and those of its image, ordered by path. */
  listChanges(container: string, signal: AbortSignal): Promise<EngineFileChange[]>;
  /**
   * Reads a container's log, byte for byte as the engine keeps it and in its order; the parts of a long line follow each
   * other. What comes at once is handed on at once: never nothing, and no more than about 64 KiB that had not to wait for each other. Ends when the log is at its end; one that follows, when the container has ended or was removed. Rejects with
   * `ENGINE_UNAVAILABLE` when the engine goes away in the middle. Not reading stops the reading of the socket; leaving the
   * loop frees it, and so does an abort, which rejects with the signal's reason.
   */
  logs(container: string, query: LogQuery, signal: AbortSignal): AsyncIterable<readonly LogRecord[]>;
  /**
   * Starts a process in a container that runs, else `CONFLICT`. A command that cannot be started is no error here: the engine
   * says so in its output, and its exit code is 126 or 127. The signal covers the start only; when it aborts meanwhile,
   * nothing is left running.
   */
  exec(container: string, spec: ExecSpec, signal: AbortSignal): Promise<EngineProcess>;
  /**
   * Attaches to a container's main process, also to one that is created and not started yet: then nothing of its output is
   * missed. The signal covers the start only.
   */
  attach(container: string, options: AttachOptions, signal: AbortSignal): Promise<EngineProcess>;
  /** What is at a path in a container, running or not. A link is not followed. Rejects with `PATH_NOT_FOUND`, as do those below. */
  statPath(container: string, path: string, signal: AbortSignal): Promise<EnginePathFacts>;
  /** Packs what is at a path; with "/." at its end what is in the folder. The signal covers all of the reading. */
  getArchive(container: string, path: string, signal: AbortSignal): Promise<EngineArchive>;
  /**
   * Unpacks an archive into a folder of a container. When the archive throws, this rejects with that, and the engine is told that the archive is
   * not whole; what was unpacked by then stays.
   */
  putArchive(
    container: string,
    path: string,
    chunks: AsyncIterable<Uint8Array>,
    options: UnpackOptions,
    signal: AbortSignal,
  ): Promise<void>;
  /** What a container has used up to now; undefined when it does not run. Rates are the difference of two readings. */
  usage(container: string, signal: AbortSignal): Promise<ContainerUsage | undefined>;
  /** What the host has used up to now. Where the engine is on another machine than the agent, it is the agent's machine that is told of. */
  hostUsage(signal: AbortSignal): Promise<HostUsage>;
  /** What the engine takes on the disk, as `docker system df` counts. */
  diskUsage(signal: AbortSignal): Promise<EngineDiskUsage>;
  /**
   * Follows the engine's events until the signal aborts (then it just ends) or the stream breaks (then it throws
   * `ENGINE_UNAVAILABLE`). Starting again is the caller's business, and so is a fresh list. With `sinceNs` the events from that time on
   * that the engine still has come first, in their order; engines keep few, and forget them when they stop.
   */
  watch(signal: AbortSignal, sinceNs?: bigint): AsyncIterable<EngineNotice>;
  /** Frees sockets. Nothing may be called afterwards. */
  close(): Promise<void>;
}
