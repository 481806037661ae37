import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type DescService, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import type { Dispatched, DispatchRequest } from "../../../src/control-plane/dispatch/dispatch-request.ts";
import { RegistrationTokens } from "../../../src/control-plane/enrolment/registration-tokens.ts";
import { EventLog } from "../../../src/control-plane/events/event-log.ts";
import { FleetInventory } from "../../../src/control-plane/inventory/fleet-inventory.ts";
import { createCommandService } from "../../../src/control-plane/services/command-service.ts";
import { createContainerService } from "../../../src/control-plane/services/container-service.ts";
import { createEventService } from "../../../src/control-plane/services/event-service.ts";
import { createHostService } from "../../../src/control-plane/services/host-service.ts";
import { createRegistrationTokenService } from "../../../src/control-plane/services/registration-token-service.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { newId } from "../../../src/domain/ids.ts";
import { Role } from "../../../src/gen/fairlead/access/v1/role_pb.js";
import { OperationOutcomeSchema } from "../../../src/gen/fairlead/agent/v1/operation_pb.js";
import { CommandService } from "../../../src/gen/fairlead/command/v1/command_service_pb.js";
import { ContainerService } from "../../../src/gen/fairlead/container/v1/container_service_pb.js";
import { EventService } from "../../../src/gen/fairlead/event/v1/event_service_pb.js";
import { HostService } from "../../../src/gen/fairlead/host/v1/host_service_pb.js";
import { RegistrationTokenService } from "../../../src/gen/fairlead/registration/v1/registration_token_service_pb.js";
import { startApiServer } from "../../../src/rpc/api-server.ts";
import { fleetErrorFrom } from "../../../src/rpc/connect-error.ts";
import { HealthStates } from "../../../src/rpc/health.ts";
import type { CommandRecord, HostFactsRecord } from "../../../src/storage/records.ts";
import type { CommandQuery } from "../../../src/storage/command-repository.ts";
import { openStorage, type Storage } from "../../../src/storage/storage.ts";
import { ManualClock } from "../events/manual-clock.ts";

/** Stands where agents would be: remembers what it was asked, and answers as it is told. */
export class FakeDispatcher {
  readonly requests: DispatchRequest[] = [];
  readonly removedAgents: string[] = [];
  outcome: MessageInitShape<typeof OperationOutcomeSchema> = { changed: true };
  failure: FleetError | undefined;
  /** Never answers; only the caller's signal ends a call. */
  silent = false;
  /** How many follow a command. */
  watchers = 0;
  storage: Storage | undefined;

  async dispatch(request: DispatchRequest): Promise<Dispatched> {
    this.requests.push(request);
    if (this.failure !== undefined) {
      throw this.failure;
    }
    if (this.silent) {
      await new Promise((_resolve, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason), { once: true });
      });
    }
    return { commandId: "command-1", outcome: create(OperationOutcomeSchema, this.outcome) };
  }

  async hostRemoved(agentId: string): Promise<void> {
    this.removedAgents.push(agentId);
  }

  circuitState(): "closed" {
    return "closed";
  }

  /** Commands of the journal, which a test writes itself. */
  async find(id: string): Promise<CommandRecord> {
    const record = await this.storage?.commands.get(id);
    if (record === undefined) throw new FleetError("COMMAND_NOT_FOUND", `there is no command "${id}"`);
    return record;
  }

  async list(query: CommandQuery): Promise<CommandRecord[]> {
    return (await this.storage?.commands.list(query)) ?? [];
  }

  wait(id: string): Promise<CommandRecord> {
    return this.find(id);
  }

  cancel(id: string): Promise<CommandRecord> {
    return this.find(id);
  }

  watch(): () => void {
    this.watchers += 1;
    return () => {
      this.watchers -= 1;
    };
  }
}

/** All services over a real database and a real listener, with no agents behind them. */
export type ServicesUnderTest = Awaited<ReturnType<typeof startServices>>;

/**
 * Starts them for one test, and `close` ends them. The caller of every call is "tester". Plaintext and without keys: services are told who calls, and see
 * nothing of how the call came. The API with its TLS and its keys is what `testControlPlane` starts.
 */
export async function startServices() {
  const folder = await mkdtemp(join(tmpdir(), "fairlead-services-"));
  const logger = pino({ level: "silent" });
  const clock = new ManualClock();
  const storage = await openStorage({ path: join(folder, "fleet.db"), logger });
  const events = new EventLog({ storage, clock, logger });
  const inventory = new FleetInventory();
  const dispatcher = new FakeDispatcher();
  dispatcher.storage = storage;
  const endedSessions: string[] = [];
  const sessions = {
    current: () => undefined,
    rename: () => undefined,
    remove: (agentId: string, { reason }: FleetError) => void endedSessions.push(`${agentId} ${reason}`),
  };
  const registrationTokens = new RegistrationTokens({ storage, events, clock, caDigest: () => "none" });
  const rotations = {
    rotate: () => Promise.reject(new FleetError("AGENT_OFFLINE", "no agent is connected")),
  };
  const tokens = registrationTokens;
  const parts = { storage, events, inventory, dispatcher, sessions, rotations, clock, tokens };
  const api = await startApiServer({
    listen: { host: "127.0.0.1", port: 0 },
    routes: (router) =>
      router
        .service(ContainerService, createContainerService(parts))
        .service(HostService, createHostService(parts))
        .service(RegistrationTokenService, createRegistrationTokenService(parts))
        .service(CommandService, createCommandService(parts))
        .service(EventService, createEventService(parts)),
    authenticate: () => ({ name: "tester", role: Role.ADMIN }),
    health: new HealthStates(),
    logger,
  });
  const baseUrl = `http://127.0.0.1:${api.address.port}`;
  const clientOf = <Service extends DescService>(service: Service) =>
    createClient(service, createConnectTransport({ baseUrl, httpVersion: "1.1" }));
  return {
    ...parts,
    baseUrl,
    endedSessions,
    containers: clientOf(ContainerService),
    hosts: clientOf(HostService),
    tokens: clientOf(RegistrationTokenService),
    commands: clientOf(CommandService),
    eventService: clientOf(EventService),

    /** Enrols a host as an agent would, "id-<name>" of "agent-<name>". */
    async addHost(name: string, facts: Partial<HostFactsRecord> = {}): Promise<void> {
      const { record } = await registrationTokens.create({
        description: "",
        lifetimeMs: undefined,
        maxUses: undefined,
        createdBy: "",
        address: "",
      });
      const engineId = `engine-${name}`;
      const result = await storage.fleet.enrol({
        secretHash: record.secretHash,
        now: clock.now(),
        host: {
          id: `id-${name}`,
          name,
          engineId,
          facts: { ...noFacts, engineId, ...facts },
          agentVersion: "1.2.3",
        },
        agent: { id: `agent-${name}`, publicKey: new Uint8Array(32) },
        address: "127.0.0.1:1",
        uniqueByName: false,
        nameWanted: false,
        events: () => [],
      });
      assert.equal(result.kind, "enrolled");
      inventory.setHost({ hostId: `id-${name}`, hostName: name, agentId: `agent-${name}` });
    },

    /** Ends everything, and fails when something is left. */
    async close(): Promise<void> {
      await api.close();
      events.close();
      assert.equal(clock.sleeping, 0, "a watcher is left");
      await storage.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** The error of a call that has to fail. */
export async function failureOf(call: Promise<unknown>): Promise<FleetError> {
  try {
    await call;
  } catch (error) {
    return fleetErrorFrom(error);
  }
  return assert.fail("the call went well");
}

/** A command of the journal, as it is when it was just created. */
export function commandRecord(record: Partial<CommandRecord>): CommandRecord {
  return {
    id: newId(),
    operation: "stop_container",
    hostId: "id-alpha",
    hostName: "alpha",
    agentId: "agent-alpha",
    container: "web",
    containerName: "web",
    caller: "tester",
    requestId: "",
    requestDigest: new Uint8Array(0),
    state: "PENDING",
    reason: "",
    message: "",
    metadata: {},
    changed: false,
    attempt: 0,
    sessionEpoch: 0,
    journalId: "",
    timeoutMs: 30_000,
    expireTime: 30_000,
    cancelRequested: false,
    createTime: 1_700_000_000_000,
    payload: new Uint8Array(0),
    outcome: new Uint8Array(0),
    transitions: [],
    ...record,
  };
}

const noFacts: HostFactsRecord = {
  engineId: "",
  hostname: "",
  operatingSystem: "",
  kernelVersion: "",
  architecture: "",
  engineVersion: "",
  engineApiVersion: "",
  cpuCount: 0,
  memoryBytes: 0,
  simulated: false,
};
