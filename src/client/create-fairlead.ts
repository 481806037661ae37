import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Client, Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { FleetError } from "../domain/errors.ts";
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
import { defaultRetryPolicy } from "./call-retry.ts";
import type { RetryPolicy } from "./call-retry.ts";
import { createFleetTransport } from "./fleet-transport.ts";
import { createLeavableClient } from "./leavable-client.ts";
import { type ServerTrust, trustFrom } from "./server-trust.ts";

/** How to reach a control plane. */
export interface FairleadOptions {
  /** Where its API listens: "https://127.0.0.1:7080", or "127.0.0.1:7080", which is the same. Plaintext is "http://…". */
  readonly server: string;
  /** Sent as a bearer token. */
  readonly apiKey?: string;
  /** PEM of the only authorities whose certificates are taken. Default: those that this machine trusts. */
  readonly ca?: string;
  /**
   * Called when the control plane has another authority than those of `ca`, and one of these has signed it: with the certificates, PEM, to be
   * `ca` from now on. An authority that replaces another is taken without it too, as long as the control plane shows that signature.
   */
  readonly onSuccessor?: (ca: string) => void;
  /** How to speak: "connect" over HTTP/1.1, which every proxy lets pass, or "grpc" over HTTP/2. Default: "connect". */
  readonly protocol?: "connect" | "grpc";
  /**
   * How long a call may take that does not say, in milliseconds. Default: as long as its command may take, and a
   * little more; 90 s without a command. Streams have no end but their own.
   */
  readonly timeoutMs?: number;
  /** How often, and how far apart, a call is tried that is safe to repeat. Parts that are left out keep their default. */
  readonly retry?: Partial<RetryPolicy>;
}

/**
 * A typed client of every service of a control plane. Calls reject with a `FleetError`, and with nothing else. Only
 * what is safe to repeat is repeated: calls that the schema says are idempotent, and those with a `requestId`.
 */
export interface Fairlead extends Disposable {
  /** Where the control plane is, as a URL. */
  readonly server: string;
  readonly containers: Client<typeof ContainerService>;
  readonly logs: Client<typeof LogService>;
  /** `exec` carries both ways and needs the protocol "grpc"; `startExec` and `sendExecInput` work with both. */
  readonly processes: Client<typeof ExecService>;
  readonly stats: Client<typeof StatsService>;
  readonly files: Client<typeof FileService>;
  readonly hosts: Client<typeof HostService>;
  readonly registrationTokens: Client<typeof RegistrationTokenService>;
  readonly apiKeys: Client<typeof ApiKeyService>;
  readonly authority: Client<typeof AuthorityService>;
  readonly commands: Client<typeof CommandService>;
  readonly events: Client<typeof EventService>;
  /** Closes its connections, and ends what still runs on them. A later call opens new ones. */
  close(): void;
}

/** Makes a client. It connects with its first call. Throws `INVALID_ARGUMENT` when `server` is no address. */
export function createFairlead(options: FairleadOptions): Fairlead {
  const server = serverUrl(options.server);
  const trust = trustFrom(options);
  const { transport: inner, close } = connect(server, options.protocol ?? "connect", trust);
  const transport = createFleetTransport(inner, {
    server,
    apiKey: options.apiKey,
    timeoutMs: options.timeoutMs,
    retry: { ...defaultRetryPolicy, ...options.retry },
    clock: systemClock,
    random: Math.random,
  });
  return {
    server,
    containers: createLeavableClient(ContainerService, transport),
    logs: createLeavableClient(LogService, transport),
    processes: createLeavableClient(ExecService, transport),
    stats: createLeavableClient(StatsService, transport),
    files: createLeavableClient(FileService, transport),
    hosts: createLeavableClient(HostService, transport),
    registrationTokens: createLeavableClient(RegistrationTokenService, transport),
    apiKeys: createLeavableClient(ApiKeyService, transport),
    authority: createLeavableClient(AuthorityService, transport),
    commands: createLeavableClient(CommandService, transport),
    events: createLeavableClient(EventService, transport),
    close,
    [Symbol.dispose]: close,
  };
}

interface Connection {
  readonly transport: Transport;
  close(): void;
}

function connect(baseUrl: string, protocol: "connect" | "grpc", trust: ServerTrust): Connection {
  if (protocol === "grpc") {
    const sessionManager = new Http2SessionManager(baseUrl, undefined, trust);
    return {
      transport: createGrpcTransport({ baseUrl, sessionManager }),
      close: () => sessionManager.abort(),
    };
  }
  const agent = new (baseUrl.startsWith("https:") ? HttpsAgent : HttpAgent)({ keepAlive: true, ...trust });
  return {
    transport: createConnectTransport({ baseUrl, httpVersion: "1.1", nodeOptions: { agent } }),
    close: () => agent.destroy(),
  };
}

function serverUrl(text: string): string {
  const written = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    throw new FleetError(
      "INVALID_ARGUMENT",
      `"${text}" is not the address of a control plane; it looks like https://127.0.0.1:7080`,
    );
  }
  return url.href.replace(/\/$/, "");
}
