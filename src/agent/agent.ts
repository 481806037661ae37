import { randomBytes } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type FolderLock, lockFolder } from "../disk/folder-lock.ts";
import { FleetError } from "../domain/errors.ts";
import { TimerWheel } from "../resilience/timer-wheel.ts";
import { type AgentConfig, agentConfigFrom, type AgentOptions } from "./config.ts";
import type { Diagnosis } from "./doctor/diagnosis.ts";
import { examine } from "./doctor/doctor.ts";
import type { EngineContainer } from "./engine/engine.ts";
import { Executor } from "./execution/executor.ts";
import { Journal } from "./execution/journal.ts";
import { findOwnContainerId } from "./execution/own-container.ts";
import { PolicyFile } from "./execution/policy/policy-file.ts";
import { recoverCommands } from "./execution/recovery.ts";
import { SelfProtection } from "./execution/self-protection.ts";
import { CertificateFile } from "./identity/certificate-file.ts";
import { IdentityFile } from "./identity/identity-file.ts";
import { TrustStore } from "./identity/trust-store.ts";
import { ContainerMirror } from "./inventory/container-mirror.ts";
import { EngineFollower } from "./inventory/engine-follower.ts";
import { EventCauses } from "./inventory/event-causes.ts";
import { EventPosition } from "./inventory/event-position.ts";
import { HostEventQueue } from "./inventory/host-event-queue.ts";
import { channelCredentials } from "./session/channel-credentials.ts";
import type { SessionRooms } from "./session/session.ts";
import { SessionLoop } from "./session/session-loop.ts";
import { DataStreams } from "./streams/data-streams.ts";

/** What an agent is about now. */
export type AgentState = "connecting" | "online" | "waiting" | "draining" | "stopped";

/** An agent that was started. */
export interface RunningAgent {
  /** Its id. Undefined: not enrolled yet. */
  agentId(): string | undefined;
  state(): AgentState;
  /** Resolves at the first welcome; rejects when the agent ends before. */
  readonly ready: Promise<void>;
  /** Resolves when the agent has ended: to the error when its enrolment was refused, to undefined when it was closed. */
  readonly done: Promise<FleetError | undefined>;
  /** Takes no new command, lets running ones end for at most so long, sends their results, then closes. */
  drain(graceMs: number): Promise<void>;
  /** Ends now. Commands in the middle of a change are settled at the next start. The engine stays open. */
  close(): Promise<void>;
}

/**
 * Starts an agent: it keeps a session with the control plane until it is closed. Rejects with `INVALID_ARGUMENT` for bad
 * options and for a policy of the host that is broken, and with `STORAGE_UNAVAILABLE` when the data folder cannot be used or
 * another agent uses it; nothing was sent then. The folder is this agent's alone until `done`.
 */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const config = agentConfigFrom(options);
  const { clock, dataDir, logger } = config;
  const policy = await PolicyFile.open({ ...config.policy, clock, logger });
  // Before anything of another agent's is read or changed.
  const lock = config.dataDirIsLocked ? undefined : lockFolder(dataDir, "agent");
  let journal: Journal | undefined;
  try {
    const identity = await IdentityFile.open(dataDir, logger);
    checkToken(config, identity);
    const trust = await TrustStore.open(config.dataDir);
    const certificate = await CertificateFile.open(config.dataDir, logger);
    journal = await Journal.open({ dataDir, clock, logger });
    return new Agent(await roomsFrom(config, { policy, identity, trust, certificate, journal }), lock);
  } catch (error) {
    journal?.close();
    lock?.release();
    throw error;
  }
}

/**
 * Looks at everything between this agent and its control plane, and at its engine, without a session: nothing that runs is disturbed, and no
 * token is used up. Throws like `startAgent` when the options or the data folder are of no use.
 */
export async function* examineAgent(
  options: AgentOptions,
  signal: AbortSignal,
): AsyncGenerator<Diagnosis, void> {
  const config = agentConfigFrom(options);
  const identity = await IdentityFile.open(config.dataDir, config.logger);
  const trust = await TrustStore.open(config.dataDir);
  const certificate = await CertificateFile.open(config.dataDir, config.logger);
  yield* examine({ config, identity, trust, certificate }, signal);
}

const noRestart: ReadonlySet<string> = new Set(["", "no"]);

type Rooms = SessionRooms & {
  readonly position: EventPosition;
  readonly recover: (signal: AbortSignal) => Promise<void>;
};

class Agent implements RunningAgent {
  readonly ready: Promise<void>;
  readonly done: Promise<FleetError | undefined>;
  readonly #rooms: Rooms;
  readonly #stopping = new AbortController();
  readonly #loop: SessionLoop;
  readonly #lock: FolderLock | undefined;
  #end: "draining" | "stopped" | undefined;

  constructor(rooms: Rooms, lock: FolderLock | undefined) {
    const welcomed = Promise.withResolvers<void>();
    this.#rooms = rooms;
    this.#lock = lock;
    this.#loop = new SessionLoop(rooms, () => welcomed.resolve());
    this.ready = welcomed.promise;
    // Whoever does not wait for it must not be killed by it.
    this.ready.catch(() => undefined);
    this.done = this.#run().finally(() => {
      this.#end = "stopped";
      welcomed.reject(this.#stopping.signal.reason);
    });
  }

  agentId(): string | undefined {
    return this.#rooms.identity.agentId;
  }

  state(): AgentState {
    return this.#end ?? this.#loop.state;
  }

  async drain(graceMs: number): Promise<void> {
    const { clock } = this.#rooms.config;
    this.#end ??= "draining";
    const drained = this.#rooms.executor.drain().then(() => this.#loop.finish());
    const waiting = new AbortController();
    await Promise.race([drained, clock.sleep(graceMs, waiting.signal).catch(() => undefined), this.done]);
    waiting.abort();
    await this.close();
  }

  async close(): Promise<void> {
    this.#stopping.abort(new FleetError("DRAINING", "the agent was closed"));
    await this.done;
  }

  async #run(): Promise<FleetError | undefined> {
    const { executor, follower, journal, policy, position, streams } = this.#rooms;
    const { signal } = this.#stopping;
    const following = follower.run(signal);
    const watching = policy.run(signal);
    const recovering = this.#rooms.recover(signal);
    try {
      const refused = await this.#loop.run(signal);
      this.#stopping.abort(refused);
      return refused;
    } finally {
      const goesAway = new FleetError("DRAINING", "the agent goes away");
      await Promise.all([executor.close(), streams.close(goesAway), following, watching, recovering]);
      await position.close();
      journal.close();
      this.#lock?.release();
    }
  }
}

async function roomsFrom(
  config: AgentConfig,
  kept: Pick<Rooms, "policy" | "identity" | "trust" | "certificate" | "journal">,
): Promise<Rooms> {
  const { identity, journal, policy } = kept;
  const { clock, engine, limits, logger, random } = config;
  const mirror = new ContainerMirror();
  const position = await EventPosition.open(config.dataDir, { clock, logger });
  const events = new HostEventQueue({
    limit: limits.queuedEvents,
    onTaken: (timeNs) => position.taken(timeNs),
    logger,
  });
  const causes = new EventCauses(clock, (id) => !noRestart.has(mirror.get(id)?.restartPolicy ?? ""));
  // Taken before any session: what is in the middle now was left there by an earlier process.
  const left = journal.running();
  const protection = new SelfProtection(config.ownContainerId ?? (await findOwnContainerId()));
  const complete = (container: EngineContainer): EngineContainer => ({
    ...container,
    protected: protection.covers(container),
    observedTime: timestampFromMs(clock.now()),
  });
  const follower = new EngineFollower({
    engine,
    mirror,
    events,
    causes,
    nothingLeft: left.length === 0,
    position,
    complete,
    clock,
    random,
    logger,
  });
  const timers = new TimerWheel();
  const streams = new DataStreams({
    server: config.server,
    identity,
    secure: (signal) => channelCredentials(config, kept, signal),
    wheel: timers,
    maxStreams: limits.streams,
    logger,
  });
  const rooms = { engine, clock, mirror, causes, protection, policy, complete, streams };
  const executor = new Executor({ rooms, journal, clock, timers, limits, logger });
  const ownLogger = logger.child({ agent_id: identity.agentId });
  const tell = (commandId: string, result: Uint8Array) => executor.tell(commandId, result);
  const recover = (signal: AbortSignal) =>
    recoverCommands(left, { rooms, clock, journal, logger: ownLogger, tell }, signal).catch(
      (error: unknown) => {
        ownLogger.error({ err: error }, "commands of an earlier process cannot be settled");
      },
    );
  return {
    ...kept,
    config,
    executor,
    follower,
    mirror,
    events,
    position,
    streams,
    instanceId: randomBytes(16),
    recover,
  };
}

function checkToken({ logger, token }: AgentConfig, { agentId }: IdentityFile): void {
  if (agentId === undefined && token === undefined) {
    const description = "is needed: this host is not enrolled yet";
    throw new FleetError("INVALID_ARGUMENT", `agent: token ${description}`, {
      violations: [{ field: "token", description }],
    });
  }
  if (agentId !== undefined && token !== undefined) {
    logger.info({ agent_id: agentId }, "this host is enrolled already, the token is not used");
  }
}
