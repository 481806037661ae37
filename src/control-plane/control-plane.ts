import { setTimeout as delay } from "node:timers/promises";
import type { ConnectRouter } from "@connectrpc/connect";
import { ApiKeyService } from "../gen/fairlead/access/v1/api_key_service_pb.js";
import { CommandService } from "../gen/fairlead/command/v1/command_service_pb.js";
import { ContainerService } from "../gen/fairlead/container/v1/container_service_pb.js";
import { EventService } from "../gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../gen/fairlead/host/v1/host_service_pb.js";
import { RegistrationTokenService } from "../gen/fairlead/registration/v1/registration_token_service_pb.js";
import { FleetError } from "../domain/errors.ts";
import { noCaDigest } from "../domain/registration-token.ts";
import { type Clock, systemClock } from "../resilience/clock.ts";
import { TimerWheel } from "../resilience/timer-wheel.ts";
import { type ApiServer, startApiServer } from "../rpc/api-server.ts";
import { HealthStates } from "../rpc/health.ts";
import { type FolderLock, lockFolder } from "../storage/folder-lock.ts";
import { openStorage, type Storage } from "../storage/storage.ts";
import {
  type ControlPlaneConfig,
  defaultAgentsListen,
  defaultApiListen,
  type ListenAddress,
  requireSafeAddresses,
} from "./config.ts";
import { Access } from "./access/access.ts";
import { openCertificateFiles } from "./certificates/certificate-files.ts";
import { openOwnAuthority } from "./certificates/own-authority.ts";
import type { TlsIdentity } from "./certificates/tls-identity.ts";
import { CommandJournal } from "./dispatch/command-journal.ts";
import { keyLifetimeMs } from "./dispatch/request-keys.ts";
import { defaultDispatchSettings, Dispatcher } from "./dispatch/dispatcher.ts";
import { Enrolment } from "./enrolment/enrolment.ts";
import { RegistrationTokens } from "./enrolment/registration-tokens.ts";
import { Metrics } from "./metrics/metrics.ts";
import { listenFailure } from "./listen-failure.ts";
import { EventLog } from "./events/event-log.ts";
import { FleetInventory } from "./inventory/fleet-inventory.ts";
import { AgentStreams } from "./session/agent-streams.ts";
import { KeyRotations } from "./session/key-rotations.ts";
import { type AgentsListener, startAgentsListener } from "./session/agents-listener.ts";
import { SessionRegistry, type Sessions } from "./session/session-registry.ts";
import { defaultSessionSettings } from "./session/session-settings.ts";
import { createApiKeyService } from "./services/api-key-service.ts";
import { createCommandService } from "./services/command-service.ts";
import { createContainerService } from "./services/container-service.ts";
import { createEventService } from "./services/event-service.ts";
import { createHostService } from "./services/host-service.ts";
import { createRegistrationTokenService } from "./services/registration-token-service.ts";
import { Retention } from "./upkeep/retention.ts";
import { defaultRetention } from "./upkeep/retention-settings.ts";

/** A control plane that runs. */
export interface ControlPlane {
  readonly agentsAddress: ListenAddress;
  readonly apiAddress: ListenAddress;
  /** PEM of the authority that callers and agents trust it by. Undefined: there is no TLS. */
  readonly authorityCertificate: string | undefined;
  /** Where the first admin's key is. Undefined: calls need no key. */
  readonly keyFile: string | undefined;
  /** Creates a registration token for one agent, for whoever starts both in one process. */
  createToken(description: string): Promise<string>;
  /** For benchmarks and tests that go past the API. */
  readonly dispatcher: Dispatcher;
  readonly sessions: Sessions;
  readonly inventory: FleetInventory;
  readonly events: EventLog;
  /**
   * Accepts nothing new, lets what runs finish for at most `graceMs`, and ends everything. Resolves when nothing is left. May be called
   * while an earlier call is under way: the shorter grace counts.
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts a control plane: opens its database, then both listeners. Rejects with a `FleetError` that says what to do when the data
 * folder cannot be used, an address is taken, or an address could be reached by others.
 */
export async function startControlPlane(config: ControlPlaneConfig): Promise<ControlPlane> {
  const agentsListen = config.agentsListen ?? defaultAgentsListen;
  const apiListen = config.apiListen ?? defaultApiListen;
  requireSafeAddresses(config);
  // Before anything of another control plane's is touched.
  const lock = lockFolder(config.dataDir);
  let storage: Storage | undefined;
  try {
    const metrics = new Metrics(config.clock ?? systemClock);
    storage = await openStorage({
      path: `${config.dataDir}/fairlead.db`,
      logger: config.logger,
      observer: metrics.storage,
    });
    const rooms = { ...(await furnish(config, storage, metrics)), lock };
    return await open(config, rooms, agentsListen, apiListen);
  } catch (error) {
    await storage?.close();
    lock.release();
    throw error;
  }
}

type Rooms = Awaited<ReturnType<typeof furnish>> & { readonly lock: FolderLock };

/** Builds every room and connects them; nobody listens yet. */
async function furnish(config: ControlPlaneConfig, storage: Storage, metrics: Metrics) {
  const { logger, clock = systemClock, random = Math.random } = config;
  const tls = await openTls(config, clock);
  const base = { storage, clock, logger, random, wheel: new TimerWheel() };
  await storage.fleet.markAllOffline();
  const events = new EventLog({ ...base, onMade: (event) => metrics.sessions.event(event) });
  const inventory = new FleetInventory();
  for (const host of await storage.fleet.all()) {
    const { id: hostId, name: hostName, agentId, labels } = host;
    inventory.setHost({ hostId, hostName, agentId, labels });
  }
  const sessions = new SessionRegistry();
  const journal = new CommandJournal({ ...base, events, observer: metrics.commands });
  const openCommands = await journal.recover();
  if (openCommands > 0) {
    logger.info({ openCommands }, "commands of an earlier run have not ended; their agents will tell");
  }
  const dispatcher = new Dispatcher({
    ...base,
    sessions,
    journal,
    settings: { ...defaultDispatchSettings, ...config.dispatch },
    observer: metrics.commands,
  });
  dispatcher.begin();
  await abandonOrphans(journal, dispatcher, inventory);
  const access = new Access({
    ...base,
    events,
    mode: config.access ?? "open",
    oidc: config.oidc,
    dataDir: config.dataDir,
  });
  const enrolment = new Enrolment({
    ...base,
    events,
    onReplaced: async (agentId) => {
      sessions.remove(
        agentId,
        new FleetError("AGENT_REVOKED", "the host was enrolled again, with another agent"),
      );
      await dispatcher.hostRemoved(agentId).catch((error: unknown) => {
        logger.error({ err: error, agent_id: agentId }, "commands of a replaced agent could not be ended");
      });
    },
  });
  const tokens = new RegistrationTokens({
    ...base,
    events,
    caDigest: () => tls?.authorityDigest ?? noCaDigest,
  });
  const settings = { ...defaultSessionSettings, ...config.session };
  const rotations = new KeyRotations({ ...base, sessions, events });
  const streams = new AgentStreams({
    ...base,
    enrolment,
    registry: sessions,
    inventory,
    events,
    traffic: dispatcher,
    rotations,
    settings,
    observer: metrics.sessions,
  });
  metrics.follow({
    sessions: () => sessions.all(),
    handshakes: () => streams.handshakes,
    callers: () => dispatcher.inFlight,
    openCommands: () => journal.openCount,
    circuits: () => dispatcher.circuitCount(),
    events: () => events.figures,
    storageHealthy: () => storage.healthy(),
  });
  return {
    ...base,
    metrics,
    tls,
    access,
    keys: access.keys,
    events,
    inventory,
    sessions,
    journal,
    dispatcher,
    tokens,
    rotations,
    streams,
    retention: new Retention({
      ...base,
      settings: { ...defaultRetention, ...config.retention },
      keysMs: keyLifetimeMs,
    }),
    health: new HealthStates(),
  };
}

// Their agents were deleted or replaced, and the process ended before their commands did.
async function abandonOrphans(
  journal: CommandJournal,
  dispatcher: Dispatcher,
  inventory: FleetInventory,
): Promise<void> {
  const agents = new Set(inventory.hosts().map(({ agentId }) => agentId));
  const orphaned = new Set(journal.allOpen().map(({ agentId }) => agentId)).difference(agents);
  for (const agentId of orphaned) await dispatcher.hostRemoved(agentId);
}

async function openTls(
  { tls, dataDir, logger }: ControlPlaneConfig,
  clock: Clock,
): Promise<TlsIdentity | undefined> {
  switch (tls?.kind) {
    case "own":
      return openOwnAuthority({ folder: `${dataDir}/tls`, advertise: tls.advertise ?? [], clock, logger });
    case "files":
      return openCertificateFiles(tls, logger);
    case "off":
    case undefined:
      return undefined;
  }
}

function routes(rooms: Rooms): (router: ConnectRouter) => void {
  return (router) =>
    router
      .service(ContainerService, createContainerService(rooms))
      .service(HostService, createHostService(rooms))
      .service(RegistrationTokenService, createRegistrationTokenService(rooms))
      .service(ApiKeyService, createApiKeyService(rooms))
      .service(CommandService, createCommandService(rooms))
      .service(EventService, createEventService(rooms));
}

async function open(
  config: ControlPlaneConfig,
  rooms: Rooms,
  agentsListen: ListenAddress,
  apiListen: ListenAddress,
): Promise<ControlPlane> {
  const { streams, health, logger } = rooms;
  const agents = await startAgentsListener({
    ...agentsListen,
    tls: rooms.tls,
    take: (call, disconnect) => streams.take(call, disconnect),
  }).catch((error: unknown) => {
    throw listenFailure(error, agentsListen, "--agents-listen");
  });
  health.set("storage", "SERVING");
  let api: ApiServer;
  try {
    api = await startApiServer({
      listen: apiListen,
      tls: rooms.tls,
      routes: routes(rooms),
      authenticate: rooms.access.authenticate,
      health,
      metrics: () => rooms.metrics.page(),
      logger,
    });
  } catch (error) {
    await agents.close();
    throw listenFailure(error, apiListen, "--api-listen");
  }
  const running = new Running(config, rooms, agents, api);
  try {
    await rooms.access.writeKeyFile(urlFromHere(api.address, rooms.tls), rooms.tls?.authorityCertificate);
  } catch (error) {
    // Closes the storage too, which may be closed twice.
    await running.close(0);
    throw error;
  }
  return {
    agentsAddress: { host: agents.host, port: agents.port },
    apiAddress: api.address,
    authorityCertificate: rooms.tls?.authorityCertificate,
    keyFile: rooms.access.keyFile,
    async createToken(description) {
      const created = await rooms.tokens.create({
        description,
        lifetimeMs: undefined,
        maxUses: undefined,
        createdBy: "local",
        address: "this process",
      });
      return created.token;
    },
    dispatcher: rooms.dispatcher,
    sessions: rooms.sessions,
    inventory: rooms.inventory,
    events: rooms.events,
    close: (graceMs = 10_000) => running.close(graceMs),
  };
}

// An address that stands for all of the machine's own is none to connect to.
function urlFromHere({ host, port }: ListenAddress, tls: TlsIdentity | undefined): string {
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  const authority = reachable.includes(":") ? `[${reachable}]` : reachable;
  return `${tls === undefined ? "http" : "https"}://${authority}:${port}`;
}

// How often a database that failed is tried again.
const probeIntervalMs = 1_000;

/** The end of a control plane, in order: no new calls, no new sessions, what runs, sessions, listeners, database. */
class Running {
  readonly #config: ControlPlaneConfig;
  readonly #rooms: Rooms;
  readonly #agents: AgentsListener;
  readonly #api: ApiServer;
  readonly #probe: NodeJS.Timeout;
  readonly #stopHealth: () => void;
  readonly #hurry = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(config: ControlPlaneConfig, rooms: Rooms, agents: AgentsListener, api: ApiServer) {
    this.#config = config;
    this.#rooms = rooms;
    this.#agents = agents;
    this.#api = api;
    this.#probe = setInterval(() => void this.#probeStorage(), probeIntervalMs);
    this.#probe.unref();
    this.#stopHealth = rooms.storage.onHealth((healthy) => {
      rooms.health.set("storage", healthy ? "SERVING" : "NOT_SERVING");
    });
    rooms.retention.start();
  }

  async close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close();
    const stop = new AbortController();
    const hurry = delay(graceMs, undefined, { signal: stop.signal }).then(
      () => this.#hurry.abort(),
      () => undefined,
    );
    await this.#closing;
    stop.abort();
    await hurry;
  }

  async #close(): Promise<void> {
    const { streams, dispatcher, events, retention, storage } = this.#rooms;
    clearInterval(this.#probe);
    this.#stopHealth();
    this.#agents.setServing(false);
    streams.drain(this.#config.reconnectAfterMs ?? 5_000);
    const drained = this.#api.drain();
    await dispatcher.drain(this.#hurry.signal);
    dispatcher.close();
    events.close();
    await Promise.race([drained, aborted(this.#hurry.signal)]);
    await this.#api.close();
    await streams.close();
    await this.#agents.close();
    await this.#rooms.access.close();
    await retention.close();
    this.#rooms.tls?.close();
    await storage.close();
    this.#rooms.lock.release();
  }

  async #probeStorage(): Promise<void> {
    const { storage } = this.#rooms;
    if (!storage.healthy()) await storage.probe();
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}
