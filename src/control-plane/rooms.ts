import { FleetError } from "../domain/errors.ts";
import { noCaDigest } from "../domain/registration-token.ts";
import { type Clock, systemClock } from "../resilience/clock.ts";
import { TimerWheel } from "../resilience/timer-wheel.ts";
import { HealthStates } from "../rpc/health.ts";
import type { Storage } from "../storage/storage.ts";
import { Access } from "./access/access.ts";
import { AgentCertificates } from "./certificates/agent-certificates.ts";
import { openCertificateFiles } from "./certificates/certificate-files.ts";
import { OwnAuthority } from "./certificates/own-authority.ts";
import type { TlsIdentity } from "./certificates/tls-identity.ts";
import type { ControlPlaneConfig } from "./config.ts";
import { CommandJournal } from "./dispatch/command-journal.ts";
import { defaultDispatchSettings, Dispatcher } from "./dispatch/dispatcher.ts";
import { operationsWithOutput } from "./dispatch/process-output.ts";
import { keyLifetimeMs } from "./dispatch/request-keys.ts";
import { Enrolment } from "./enrolment/enrolment.ts";
import { RegistrationTokens } from "./enrolment/registration-tokens.ts";
import { EventLog } from "./events/event-log.ts";
import { FleetInventory } from "./inventory/fleet-inventory.ts";
import type { Metrics } from "./metrics/metrics.ts";
import { AuthorityNews } from "./session/authority-news.ts";
import { CertificateIssuance } from "./session/certificate-issuance.ts";
import { AgentStreams } from "./session/agent-streams.ts";
import { KeyRotations } from "./session/key-rotations.ts";
import { Reception } from "./session/reception.ts";
import { SessionRegistry } from "./session/session-registry.ts";
import { defaultSessionSettings } from "./session/session-settings.ts";
import { DataStreams } from "./streams/data-streams.ts";
import { defaultStreamSettings } from "./streams/stream-settings.ts";
import { Retention } from "./upkeep/retention.ts";
import { defaultRetention } from "./upkeep/retention-settings.ts";

/** Every room of a control plane, connected to the others. */
export type Rooms = Awaited<ReturnType<typeof furnish>>;

/** What every room is given. */
interface Foundation {
  readonly config: ControlPlaneConfig;
  readonly storage: Storage;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: ControlPlaneConfig["logger"];
  readonly wheel: TimerWheel;
  readonly events: EventLog;
}

/** Builds every room and connects them; nobody listens yet. */
export async function furnish(config: ControlPlaneConfig, storage: Storage, metrics: Metrics) {
  const { logger, clock = systemClock, random = Math.random, dataDir } = config;
  const tls = await openTls(config, clock);
  const base = { config, storage, metrics, clock, random, logger, wheel: new TimerWheel() };
  await storage.fleet.markAllOffline();
  const events = new EventLog({ ...base, onMade: (event) => metrics.sessions.event(event) });
  const foundation: Foundation = { ...base, events };
  const inventory = await inventoryFrom(storage);
  const commands = await furnishCommands(foundation, inventory);
  const access = new Access({ ...foundation, mode: config.access ?? "keys", oidc: config.oidc, dataDir });
  const caDigest = () => tls?.authorityDigest ?? noCaDigest;
  const agentTls = await openAgentTls(config, tls, clock);
  const serverAuthority = tls instanceof OwnAuthority ? tls : undefined;
  const authorityNews = new AuthorityNews({ authority: serverAuthority, sessions: commands.sessions });
  const agents = furnishSessions(foundation, inventory, { ...commands, authorityNews, ...agentTls });
  const retention = new Retention({
    ...foundation,
    settings: { ...defaultRetention, ...config.retention },
    keysMs: keyLifetimeMs,
    briefOperations: operationsWithOutput,
  });
  follow(metrics, { ...foundation, ...commands, ...agents });
  return {
    ...foundation,
    ...commands,
    ...agents,
    tls,
    authority: serverAuthority ?? agentTls.authority,
    authorityNews,
    agentTls,
    access,
    keys: access.keys,
    inventory,
    tokens: new RegistrationTokens({ ...foundation, caDigest }),
    retention,
    health: new HealthStates(),
  };
}

async function openTls(
  { tls = { kind: "own" }, dataDir, logger }: ControlPlaneConfig,
  clock: Clock,
): Promise<TlsIdentity | undefined> {
  switch (tls.kind) {
    case "own":
      return OwnAuthority.open({ folder: `${dataDir}/tls`, advertise: tls.advertise ?? [], clock, logger });
    case "files":
      return openCertificateFiles(tls, logger);
    case "off":
      return undefined;
  }
}

/** Who signs agents' certificates: the authority that the server has, or, beside a certificate of the operator's, one for this alone. */
async function openAgentTls(
  { agentMtls, dataDir, logger }: ControlPlaneConfig,
  tls: TlsIdentity | undefined,
  clock: Clock,
): Promise<{
  readonly certificates?: AgentCertificates;
  /** The one for this alone. */
  readonly authority?: OwnAuthority;
  readonly close: () => void;
}> {
  if (agentMtls === undefined) return { close: () => undefined };
  if (tls === undefined) {
    throw new FleetError("INVALID_ARGUMENT", "mutual TLS for agents (--agent-mtls) needs TLS, which is off");
  }
  const required = agentMtls === "require";
  if (tls instanceof OwnAuthority) {
    return {
      certificates: new AgentCertificates({ authority: tls, required, clock }),
      close: () => undefined,
    };
  }
  const authority = await OwnAuthority.open({ folder: `${dataDir}/tls`, advertise: [], clock, logger });
  const certificates = new AgentCertificates({ authority, required, clock });
  return { certificates, authority, close: () => authority.close() };
}

async function inventoryFrom(storage: Storage): Promise<FleetInventory> {
  const inventory = new FleetInventory();
  for (const { id: hostId, name: hostName, agentId, labels } of await storage.fleet.all()) {
    inventory.setHost({ hostId, hostName, agentId, labels });
  }
  return inventory;
}

/** The journal with what an earlier run left open, and the dispatcher that goes on with it. */
async function furnishCommands(foundation: Foundation, inventory: FleetInventory) {
  const { config, metrics, logger } = foundation;
  const sessions = new SessionRegistry();
  const journal = new CommandJournal({ ...foundation, observer: metrics.commands });
  const openCommands = await journal.recover();
  if (openCommands > 0) {
    logger.info({ openCommands }, "commands of an earlier run have not ended; their agents will tell");
  }
  const dispatcher = new Dispatcher({
    ...foundation,
    sessions,
    journal,
    settings: { ...defaultDispatchSettings, ...config.dispatch },
    observer: metrics.commands,
  });
  dispatcher.begin();
  await abandonOrphans(journal, dispatcher, inventory);
  return { sessions, journal, dispatcher };
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

type Commands = Awaited<ReturnType<typeof furnishCommands>>;

function furnishSessions(
  foundation: Foundation,
  inventory: FleetInventory,
  {
    sessions,
    dispatcher,
    authorityNews,
    certificates,
  }: Commands & {
    readonly authorityNews: AuthorityNews;
    readonly certificates?: AgentCertificates;
  },
) {
  const { config, metrics, logger } = foundation;
  const replaced = new FleetError("AGENT_REVOKED", "the host was enrolled again, with another agent");
  const enrolment = new Enrolment({
    ...foundation,
    onReplaced: async (agentId) => {
      sessions.remove(agentId, replaced);
      await dispatcher.hostRemoved(agentId).catch((error: unknown) => {
        logger.error({ err: error, agent_id: agentId }, "commands of a replaced agent could not be ended");
      });
    },
  });
  const rotations = new KeyRotations({ ...foundation, sessions });
  const settings = { ...defaultSessionSettings, ...config.session };
  const reception = new Reception({ ...foundation, settings });
  const issuance = certificates && new CertificateIssuance({ ...foundation, certificates, sessions });
  const streams = new AgentStreams({
    ...foundation,
    enrolment,
    reception,
    registry: sessions,
    inventory,
    traffic: dispatcher,
    rotations,
    authorityNews,
    certificates,
    issuance,
    settings,
    observer: metrics.sessions,
  });
  const dataStreams = new DataStreams({
    ...foundation,
    reception,
    sessions,
    dispatcher,
    settings: { ...defaultStreamSettings, ...config.streams },
    observer: metrics.streams,
  });
  return { rotations, issuance, streams, dataStreams };
}

function follow(
  metrics: Metrics,
  rooms: Pick<Foundation, "events" | "storage"> & Commands & ReturnType<typeof furnishSessions>,
): void {
  const { dataStreams, dispatcher, events, journal, sessions, storage, streams } = rooms;
  metrics.follow({
    sessions: () => sessions.all(),
    handshakes: () => streams.handshakes,
    callers: () => dispatcher.inFlight,
    openCommands: () => journal.openCount,
    circuits: () => dispatcher.circuitCount(),
    events: () => events.figures,
    streams: () => dataStreams.traffic,
    storageHealthy: () => storage.healthy(),
  });
}
