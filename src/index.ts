// The public edge of the package: what others may use, and nothing else. What is here is kept through releases of one major version.

import type { AgentOptions } from "./agent/config.ts";
import type { RunningAgent } from "./agent/agent.ts";
import type { Engine } from "./agent/engine/engine.ts";
import type { OpenEngineOptions } from "./agent/engine/open-engine.ts";
import type { ControlPlaneConfig } from "./control-plane/config.ts";
import type { ControlPlane } from "./control-plane/control-plane.ts";

// A client of a control plane, and the one error that it rejects with.
export { createFairlead } from "./client/create-fairlead.ts";
export type { Fairlead, FairleadOptions } from "./client/create-fairlead.ts";
export type { RetryPolicy } from "./client/call-retry.ts";
export { FleetError, isReason } from "./domain/errors.ts";
export type { FieldViolation, FleetErrorDetails, Reason } from "./domain/errors.ts";

// The services, for a Connect transport of one's own: createClient(ContainerService, transport).
export { ApiKeyService } from "./gen/fairlead/access/v1/api_key_service_pb.js";
export { AuthorityService } from "./gen/fairlead/authority/v1/authority_service_pb.js";
export { CommandService } from "./gen/fairlead/command/v1/command_service_pb.js";
export { ContainerService } from "./gen/fairlead/container/v1/container_service_pb.js";
export { ExecService } from "./gen/fairlead/container/v1/exec_service_pb.js";
export { FileService } from "./gen/fairlead/container/v1/file_service_pb.js";
export { LogService } from "./gen/fairlead/container/v1/log_service_pb.js";
export { StatsService } from "./gen/fairlead/container/v1/stats_service_pb.js";
export { EventService } from "./gen/fairlead/event/v1/event_service_pb.js";
export { HostService } from "./gen/fairlead/host/v1/host_service_pb.js";
export { RegistrationTokenService } from "./gen/fairlead/registration/v1/registration_token_service_pb.js";

// What the services speak of. The schemas are for toJson, fromJson and create of @bufbuild/protobuf.
export { ApiKeySchema, ApiKeyState } from "./gen/fairlead/access/v1/api_key_pb.js";
export type { ApiKey } from "./gen/fairlead/access/v1/api_key_pb.js";
export { Role } from "./gen/fairlead/access/v1/role_pb.js";
export { AuthoritySchema, AuthorityState } from "./gen/fairlead/authority/v1/authority_pb.js";
export type { Authority, AuthorityCertificate } from "./gen/fairlead/authority/v1/authority_pb.js";
export { CommandSchema, CommandState } from "./gen/fairlead/command/v1/command_pb.js";
export type { Command, CommandTransition } from "./gen/fairlead/command/v1/command_pb.js";
export { OfflinePolicy } from "./gen/fairlead/command/v1/offline_policy_pb.js";
export { ContainerSchema, ContainerState, HealthState } from "./gen/fairlead/container/v1/container_pb.js";
export type {
  Container,
  HostReference,
  Mount,
  NetworkAttachment,
  Port,
} from "./gen/fairlead/container/v1/container_pb.js";
export {
  ContainerSpecSchema,
  MountSpec_Type,
  PortBinding_Protocol,
  RestartPolicy_Mode,
} from "./gen/fairlead/container/v1/container_spec_pb.js";
export type {
  ContainerSpec,
  HealthCheck,
  MountSpec,
  PortBinding,
  ResourceLimits,
  RestartPolicy,
} from "./gen/fairlead/container/v1/container_spec_pb.js";
export type {
  ExecSpec,
  ProcessInput,
  ProcessOutput,
  TerminalSize,
} from "./gen/fairlead/container/v1/process_pb.js";
export { OutputStream } from "./gen/fairlead/container/v1/log_pb.js";
export type { LogMatch, LogRecord } from "./gen/fairlead/container/v1/log_pb.js";
export type { PathFacts } from "./gen/fairlead/container/v1/path_facts_pb.js";
export type { ContainerStats, HostStats } from "./gen/fairlead/container/v1/stats_pb.js";
export type {
  ContainerSample,
  HostFailure,
  HostSample,
} from "./gen/fairlead/container/v1/stats_service_pb.js";
export type { ContainerSelector } from "./gen/fairlead/container/v1/container_selector_pb.js";
export type { ExecResult } from "./gen/fairlead/container/v1/exec_result_pb.js";
export { WaitCondition } from "./gen/fairlead/container/v1/container_wait_pb.js";
export type { ContainerExit } from "./gen/fairlead/container/v1/container_wait_pb.js";
export type { ContainerUpdate } from "./gen/fairlead/container/v1/container_update_pb.js";
export { FilesystemChange_Kind } from "./gen/fairlead/container/v1/filesystem_change_pb.js";
export type {
  FilesystemChange,
  FilesystemChanges,
} from "./gen/fairlead/container/v1/filesystem_change_pb.js";
export type { ProcessRow, ProcessTable } from "./gen/fairlead/container/v1/process_table_pb.js";
export type { Preconditions } from "./gen/fairlead/container/v1/preconditions_pb.js";
export { EventSchema, EventType } from "./gen/fairlead/event/v1/event_pb.js";
export type { Event } from "./gen/fairlead/event/v1/event_pb.js";
export type { EventFilter } from "./gen/fairlead/event/v1/event_service_pb.js";
export { CircuitState, HostSchema } from "./gen/fairlead/host/v1/host_pb.js";
export type { DiskUsage, DiskUsageGroup } from "./gen/fairlead/host/v1/disk_usage_pb.js";
export type { Host, HostFacts } from "./gen/fairlead/host/v1/host_pb.js";
export {
  RegistrationTokenSchema,
  RegistrationTokenState,
} from "./gen/fairlead/registration/v1/registration_token_pb.js";
export type { RegistrationToken } from "./gen/fairlead/registration/v1/registration_token_pb.js";

// A control plane and agents inside a program of one's own, for embedding and for tests.
export type { ControlPlaneConfig, ListenAddress, TlsConfig } from "./control-plane/config.ts";
export type { AgentLimits, AgentOptions } from "./agent/config.ts";
export type { AgentState, RunningAgent } from "./agent/agent.ts";
export type { Engine } from "./agent/engine/engine.ts";
export type { EngineKind, OpenEngineOptions } from "./agent/engine/open-engine.ts";
export { systemClock } from "./resilience/clock.ts";
export type { Clock } from "./resilience/clock.ts";

/** A control plane that runs, as far as whoever embeds it needs it. */
export type EmbeddedControlPlane = Pick<
  ControlPlane,
  "agentsAddress" | "apiAddress" | "authorityCertificate" | "keyFile" | "createToken" | "close"
>;

// Each is loaded when it is first called, so that a program that only calls the API loads neither database nor Docker.

/**
 * Starts a control plane: opens its database, then both listeners. Rejects with a `FleetError` that says what to do when the data
 * folder cannot be used, or is in use, and when an address is taken or could be reached by others. To be closed.
 */
export async function startControlPlane(config: ControlPlaneConfig): Promise<EmbeddedControlPlane> {
  const { startControlPlane: start } = await import("./control-plane/control-plane.ts");
  return await start(config);
}

/**
 * Starts an agent: it keeps a session with the control plane until it is closed. Rejects with `INVALID_ARGUMENT` for bad options, and
 * with `STORAGE_UNAVAILABLE` when the data folder cannot be used; nothing was sent then. To be closed, and then its engine.
 */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { startAgent: start } = await import("./agent/agent.ts");
  return await start(options);
}

/**
 * Opens an engine for an agent: this machine's Docker, or a simulated one. Rejects with `INVALID_ARGUMENT` when the Docker host makes
 * no sense, and with the reason of the signal. To be closed.
 */
export async function openEngine(options: OpenEngineOptions): Promise<Engine> {
  const { openEngine: open } = await import("./agent/engine/open-engine.ts");
  return await open(options);
}
