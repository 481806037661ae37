import type { ConnectRouter } from "@connectrpc/connect";
import { ApiKeyService } from "../gen/fairlead/access/v1/api_key_service_pb.js";
import { AuthorityService } from "../gen/fairlead/authority/v1/authority_service_pb.js";
import { CommandService } from "../gen/fairlead/command/v1/command_service_pb.js";
import { ContainerService } from "../gen/fairlead/container/v1/container_service_pb.js";
import { ExecService } from "../gen/fairlead/container/v1/exec_service_pb.js";
import { FileService } from "../gen/fairlead/container/v1/file_service_pb.js";
import { LogService } from "../gen/fairlead/container/v1/log_service_pb.js";
import { StatsService } from "../gen/fairlead/container/v1/stats_service_pb.js";
import { EventService } from "../gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../gen/fairlead/host/v1/host_service_pb.js";
import { RegistrationTokenService } from "../gen/fairlead/registration/v1/registration_token_service_pb.js";
import { systemClock } from "../resilience/clock.ts";
import { type ApiServer, startApiServer } from "../rpc/api-server.ts";
import { tellOfCutConnections } from "../rpc/cut-connections.ts";
import { lockFolder, type FolderLock } from "../disk/folder-lock.ts";
import { openStorage, type Storage } from "../storage/storage.ts";
import {
  type ControlPlaneConfig,
  defaultAgentsListen,
  defaultApiListen,
  type ListenAddress,
  requireSafeAddress,
} from "./config.ts";
import { placeFromHere } from "./certificates/place-from-here.ts";
import type { Dispatcher } from "./dispatch/dispatcher.ts";
import { Metrics } from "./metrics/metrics.ts";
import { listenFailure } from "./listen-failure.ts";
import type { EventLog } from "./events/event-log.ts";
import type { FleetInventory } from "./inventory/fleet-inventory.ts";
import { startAgentsListener } from "./session/agents-listener.ts";
import type { Sessions } from "./session/session-registry.ts";
import { furnish, type Rooms } from "./rooms.ts";
import { Running } from "./running.ts";
import type { DataStreams } from "./streams/data-streams.ts";
import { createApiKeyService } from "./services/api-key-service.ts";
import { createAuthorityService } from "./services/authority-service.ts";
import { createCommandService } from "./services/command-service.ts";
import { createContainerService } from "./services/container-service.ts";
import { createEventService } from "./services/event-service.ts";
import { createExecService } from "./services/exec-service.ts";
import { createFileService } from "./services/file-service.ts";
import { createHostService } from "./services/host-service.ts";
import { createLogService } from "./services/log-service.ts";
import { createStatsService } from "./services/stats-service.ts";
import { createRegistrationTokenService } from "./services/registration-token-service.ts";

/** A control plane that runs. */
export interface ControlPlane {
  readonly agentsAddress: ListenAddress;
  readonly apiAddress: ListenAddress;
  /** Where this machine reaches the agents' listener, "host:port", by a name or address that its first certificate has. */
  readonly agentsServer: string;
  /** URL of the API for this machine, likewise. */
  readonly apiUrl: string;
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
  readonly dataStreams: Pick<DataStreams, "size" | "tickets">;
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
  requireSafeAddress(config);
  // Before anything of another control plane's is touched.
  const lock = lockFolder(config.dataDir, "control plane");
  let storage: Storage | undefined;
  try {
    const metrics = new Metrics(config.clock ?? systemClock);
    storage = await openStorage({
      path: `${config.dataDir}/fairlead.db`,
      logger: config.logger,
      observer: metrics.storage,
    });
    return await open(await furnish(config, storage, metrics), lock, { agentsListen, apiListen });
  } catch (error) {
    await storage?.close();
    lock.release();
    throw error;
  }
}

// What a caller follows is not compressed, even where the caller would take it so: for a log, gzip was a third of the processor time
// of the control plane and more than half of the caller's, and for events it would hold up the sync of the disk besides. The largest number that
// connect takes.
const uncompressed = { compressMinBytes: 0xffff_ffff };

function routes(rooms: Rooms): (router: ConnectRouter) => void {
  return (router) =>
    router
      .service(ContainerService, createContainerService(rooms))
      .service(LogService, createLogService(rooms), uncompressed)
      .service(ExecService, createExecService(rooms), uncompressed)
      .service(StatsService, createStatsService(rooms))
      .service(FileService, createFileService(rooms))
      .service(HostService, createHostService(rooms))
      .service(RegistrationTokenService, createRegistrationTokenService(rooms))
      .service(ApiKeyService, createApiKeyService(rooms))
      .service(AuthorityService, createAuthorityService(rooms))
      .service(CommandService, createCommandService(rooms))
      .service(EventService, createEventService(rooms), uncompressed);
}

async function open(
  rooms: Rooms,
  lock: FolderLock,
  { agentsListen, apiListen }: Readonly<Record<"agentsListen" | "apiListen", ListenAddress>>,
): Promise<ControlPlane> {
  const { streams, health, logger, metrics } = rooms;
  const agents = await startAgentsListener({
    ...agentsListen,
    tls: rooms.tls,
    asksForCertificate: rooms.agentTls.certificates !== undefined,
    take: (call, disconnect, certificate) => streams.take(call, disconnect, certificate),
    takeData: (call, disconnect) => rooms.dataStreams.take(call, disconnect),
    onCut: onCutAt("agents", rooms),
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
      metrics: () => metrics.page(),
      onCut: onCutAt("api", rooms),
      limits: rooms.config.apiLimits,
      logger,
    });
  } catch (error) {
    await agents.close();
    throw listenFailure(error, apiListen, "--api-listen");
  }
  const running = new Running({ rooms, agents, api, lock });
  const apiUrl = () => urlFromHere(rooms, api.address);
  try {
    await keepKeyFile(rooms, apiUrl);
  } catch (error) {
    // Closes the storage too, which may be closed twice.
    await running.close(0);
    throw error;
  }
  return {
    agentsAddress: { host: agents.host, port: agents.port },
    apiAddress: api.address,
    agentsServer: placeFromHere(agents, rooms.tls, advertised(rooms)),
    apiUrl: apiUrl(),
    get authorityCertificate() {
      return rooms.tls?.authorityCertificate;
    },
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
    dataStreams: rooms.dataStreams,
    close: (graceMs = 10_000) => running.close(graceMs),
  };
}

function onCutAt(port: string, { logger, clock, metrics }: Rooms): ReturnType<typeof tellOfCutConnections> {
  return tellOfCutConnections({ port, logger, clock, onCut: (...cut) => metrics.connections.cut(...cut) });
}

function urlFromHere(rooms: Rooms, address: ListenAddress): string {
  const scheme = rooms.tls === undefined ? "http" : "https";
  return `${scheme}://${placeFromHere(address, rooms.tls, advertised(rooms))}`;
}

function advertised({ config: { tls } }: Rooms): readonly string[] | undefined {
  return tls === undefined || tls.kind === "off" ? undefined : tls.advertise;
}

/** Writes the admin's key file, and again when another authority is to be trusted, or the API has another name. */
async function keepKeyFile({ access, logger, tls }: Rooms, url: () => string): Promise<void> {
  const now = () => [url(), tls?.authorityCertificate] as const;
  let written = now();
  await access.writeKeyFile(...written);
  tls?.onChange(() => {
    const next = now();
    if (next.every((part, index) => part === written[index])) return;
    written = next;
    access.writeKeyFile(...written).catch((error: unknown) => {
      logger.error({ err: error }, "the key file does not name the new authority yet");
    });
  });
}
