import { type ChannelCredentials, Client, type ClientDuplexStream } from "@grpc/grpc-js";
import { AgentService } from "../../gen/fairlead/agent/v1/agent_service_pb.js";
import type { TimerWheel, WheelTimer } from "../../resilience/timer-wheel.ts";
import { channelOptions } from "../../rpc/agent-channel.ts";
import { grpcMethod, type WireMessage } from "../../rpc/grpc-service.ts";

/** The agent's end of one DataStream. */
export type DataCall = ClientDuplexStream<WireMessage, WireMessage>;

/** What connections for data are made of. */
export interface DataConnectionsParts {
  /** "host:port". */
  readonly server: string;
  /** How the next connection is secured. */
  readonly secure: (signal: AbortSignal) => Promise<ChannelCredentials>;
  readonly wheel: TimerWheel;
}

interface Idle {
  readonly client: Client;
  readonly timer: WheelTimer;
}

// Long enough that whoever looks into one container after the other finds a connection that is open.
const idleMs = 60_000;

/**
 * Connections for data streams, apart from the session's. Each carries one stream at a time: grpc-js gives a client's connection a window no
 * larger than that of one stream, so that a stream that is not read would hold up every other on the same connection. One that has become
 * free is used again within a minute.
 */
export class DataConnections {
  readonly #parts: DataConnectionsParts;
  readonly #idle: Idle[] = [];
  #closed = false;

  constructor(parts: DataConnectionsParts) {
    this.#parts = parts;
  }

  /** How many are kept for the next stream. */
  get idle(): number {
    return this.#idle.length;
  }

  /** Opens a stream. `release` must be called when it has ended, with whether its connection can be used again. */
  async open(signal: AbortSignal): Promise<{ readonly call: DataCall; release(reusable: boolean): void }> {
    const client = this.#take() ?? (await this.#dial(signal));
    const method = grpcMethod(AgentService.method.dataStream);
    const call = client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
    );
    return { call, release: (reusable) => this.#release(client, reusable) };
  }

  /** Keeps none any more. */
  close(): void {
    this.#closed = true;
    for (const { client, timer } of this.#idle.splice(0)) {
      timer.cancel();
      client.close();
    }
  }

  #take(): Client | undefined {
    const idle = this.#idle.pop();
    idle?.timer.cancel();
    return idle?.client;
  }

  async #dial(signal: AbortSignal): Promise<Client> {
    const { server, secure } = this.#parts;
    return new Client(server, await secure(signal), channelOptions);
  }

  #release(client: Client, reusable: boolean): void {
    if (this.#closed || !reusable) {
      client.close();
      return;
    }
    const idle: Idle = {
      client,
      timer: this.#parts.wheel.schedule(idleMs, () => {
        this.#idle.splice(this.#idle.indexOf(idle), 1);
        client.close();
      }),
    };
    this.#idle.push(idle);
  }
}
