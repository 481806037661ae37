import { Server, ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { FleetError } from "../../domain/errors.ts";
import { AgentService } from "../../gen/fairlead/agent/v1/agent_service_pb.js";
import { grpcService } from "../../rpc/grpc-service.ts";
import type { AgentCall } from "./agent-call.ts";

/** Where the agents' listener listens and what it serves. */
export interface AgentsListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly credentials?: ServerCredentials;
  take(call: AgentCall): void;
}

/** The listener that agents dial. */
export interface AgentsListener {
  readonly host: string;
  /** The port that it really has. */
  readonly port: number;
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
  // An agent's connection always carries its stream. One that carries none was left behind.
  "grpc.max_connection_idle_ms": 60_000,
};

/** Starts the listener. Rejects when it cannot listen there. */
export async function startAgentsListener(options: AgentsListenerOptions): Promise<AgentsListener> {
  const server = new Server(channelOptions);
  server.addService(grpcService(AgentService), { agentStream: (call: AgentCall) => options.take(call) });
  const health = new HealthImplementation({ "": "SERVING", [AgentService.typeName]: "SERVING" });
  health.addToServer(server);
  const port = await bind(server, options);
  return {
    host: options.host,
    port,
    setServing(serving) {
      for (const service of ["", AgentService.typeName]) {
        health.setStatus(service, serving ? "SERVING" : "NOT_SERVING");
      }
    },
    close: () => shutDown(server),
  };
}

// How long a peer may take to read the end of its streams.
const farewellMs = 1_000;

// `tryShutdown` alone would wait for open streams for ever; `forceShutdown` alone would cut off the reasons that were
// just sent.
async function shutDown(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, farewellMs);
  server.tryShutdown(() => resolve());
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    server.forceShutdown();
  }
}

function bind(server: Server, { host, port, credentials }: AgentsListenerOptions): Promise<number> {
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync(address, credentials ?? ServerCredentials.createInsecure(), (error, bound) => {
    if (error === null) {
      resolve(bound);
      return;
    }
    reject(
      new FleetError("INVALID_ARGUMENT", `cannot listen for agents on ${address}: ${error.message}`, {
        cause: error,
      }),
    );
  });
  return promise;
}
