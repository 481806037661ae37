import type { X509Certificate } from "node:crypto";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { FleetError } from "../../domain/errors.ts";
import { AgentService } from "../../gen/fairlead/agent/v1/agent_service_pb.js";
import { type ConnectionPort, openConnectionPort } from "../../rpc/connection-port.ts";
import { grpcService } from "../../rpc/grpc-service.ts";
import { guardGrpcServer } from "../../rpc/guarded-grpc.ts";
import type { SessionGuard } from "../../rpc/http2-guard.ts";
import type { TlsSource } from "../../rpc/tls-source.ts";
import type { AgentCall } from "./agent-call.ts";

/** Where the agents' listener listens and what it serves. */
export interface AgentsListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Without: plaintext. */
  readonly tls?: TlsSource | undefined;
  /** Whether agents are asked for a certificate. */
  readonly asksForCertificate?: boolean;
  /** Takes a new stream; `disconnect` cuts the connection that it is on, and `certificate` is what the agent showed in it, verified by nobody. */
  take(call: AgentCall, disconnect: () => void, certificate: X509Certificate | undefined): void;
  /** The same for a new data stream. */
  takeData(call: AgentCall, disconnect: () => void): void;
  /** A connection was ended for what was sent on it. */
  readonly onCut?: SessionGuard["onCut"];
  /** How long a peer may take for the TLS handshake, and again for its first frame. 10 s by default. */
  readonly greetingMs?: number;
}

/** The listener that agents dial. */
export interface AgentsListener {
  readonly host: string;
  /** The port that it really has. */
  readonly port: number;
  /** How many connections are open. */
  readonly connectionCount: number;
  /** What its health service says. */
  setServing(serving: boolean): void;
  /** Ends every connection, after its streams that have ended have told so, or after a second. */
  close(): Promise<void>;
}

// docs/protocol.md, "Limits": one message on any stream 1 MiB, HTTP/2 PINGs every 30 s with 10 s to answer, on both sides.
const channelOptions = {
  "grpc.max_receive_message_length": 1024 * 1024,
  "grpc.max_send_message_length": 1024 * 1024,
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  // An AgentStream, 32 DataStreams, and somebody who asks for its health.
  "grpc.max_concurrent_streams": 64,
  // Megabytes. Without it grpc-js sets no limit.
  "grpc-node.max_session_memory": 64,
  // An agent's connection always carries its stream. One that carries none was left behind.
  "grpc.max_connection_idle_ms": 60_000,
};

const defaultGreetingMs = 10_000;
const maxConnections = 20_000;

/**
 * Starts the listener. Connections are taken here and not by grpc-js, which cannot change its certificate nor turn an address
 * away. Rejects when it cannot listen there.
 */
export async function startAgentsListener(options: AgentsListenerOptions): Promise<AgentsListener> {
  const server = new Server(channelOptions);
  server.addService(grpcService(AgentService), {
    agentStream: (call: AgentCall) => {
      const peer = call.getPeer();
      options.take(call, () => port.disconnect(peer), port.certificateOf(peer));
    },
    dataStream: (call: AgentCall) => {
      const peer = call.getPeer();
      options.takeData(call, () => port.disconnect(peer));
    },
  });
  const health = new HealthImplementation({ "": "SERVING", [AgentService.typeName]: "SERVING" });
  health.addToServer(server);
  // TLS ends at the port, so that what grpc-js gets needs none.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const { greetingMs = defaultGreetingMs, onCut = () => undefined } = options;
  guardGrpcServer(server, { firstFrameMs: greetingMs, onCut });
  const port = await open({ ...options, greetingMs }, (socket) => injector.injectConnection(socket));
  return {
    ...port.address,
    get connectionCount() {
      return port.connectionCount;
    },
    setServing(serving) {
      for (const service of ["", AgentService.typeName]) {
        health.setStatus(service, serving ? "SERVING" : "NOT_SERVING");
      }
    },
    async close() {
      port.stopAccepting();
      await shutDown(server, port);
      await port.close();
    },
  };
}

async function open(
  {
    host,
    port,
    tls,
    asksForCertificate,
    greetingMs,
  }: AgentsListenerOptions & { readonly greetingMs: number },
  onConnection: Parameters<typeof openConnectionPort>[0]["onConnection"],
): Promise<ConnectionPort> {
  const listen = { host, port };
  try {
    return await openConnectionPort({
      listen,
      tls,
      protocol: "h2",
      asksForCertificate: asksForCertificate === true,
      handshakeTimeoutMs: greetingMs,
      maxConnections,
      onConnection,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new FleetError("INVALID_ARGUMENT", `cannot listen for agents on ${host}:${port}: ${why}`, {
      cause: error,
    });
  }
}

// How long a peer may take to read the end of its streams.
const farewellMs = 1_000;

// `tryShutdown` asks the connections to end once their streams have, and does not wait for those that were handed to it;
// `forceShutdown` alone would cut off the reasons that were just sent.
async function shutDown(server: Server, port: ConnectionPort): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, farewellMs);
  server.tryShutdown(() => undefined);
  try {
    await Promise.race([promise, port.emptied()]);
  } finally {
    clearTimeout(timer);
    server.forceShutdown();
  }
}
