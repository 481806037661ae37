import { once } from "node:events";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { type Drive, type Driven, drive } from "./drive.ts";
import { echoMethod } from "./echo-service.ts";
import { ownUsage } from "./own-usage.ts";
import { answerParent } from "./parent-link.ts";

// The floor's server: a bare grpc-js stream to each client, over which it sends one message a command and gets one back. It
// does what cannot be left out: it knows by an id which answer belongs to whom.

const streams: EchoStream[] = [];
let bytesReceived = 0;

class EchoStream {
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  readonly #waiting = new Map<number, () => void>();
  #lastId = 0;

  constructor(call: ServerDuplexStream<Buffer, Buffer>) {
    this.#call = call;
    call.on("data", (answer: Buffer) => {
      bytesReceived += answer.byteLength;
      const id = answer.readUInt32LE(0);
      this.#waiting.get(id)?.();
      this.#waiting.delete(id);
    });
    call.on("error", () => undefined);
    call.on("end", () => call.end());
  }

  async echo(bytes: number): Promise<void> {
    this.#lastId = (this.#lastId + 1) % 2 ** 32;
    const message = Buffer.alloc(bytes);
    message.writeUInt32LE(this.#lastId, 0);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(this.#lastId, resolve);
    this.#call.write(message);
    await promise;
  }
}

const server = new Server();
const arrivals = new EventTarget();
server.addService(
  { stream: echoMethod },
  {
    stream: (call: ServerDuplexStream<Buffer, Buffer>) => {
      streams.push(new EchoStream(call));
      arrivals.dispatchEvent(new Event("arrived"));
    },
  },
);

answerParent({
  listen: async () => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
    return await promise;
  },

  online: async ({ agents }: { agents: number }) => {
    while (streams.length < agents) await once(arrivals, "arrived");
  },

  ...ownUsage,

  bytesReceived: () => bytesReceived,

  drive: async (load: FloorLoad): Promise<Driven> => {
    const { inFlightEach, requestBytes, ...times } = load;
    const callers = streams.flatMap((stream) =>
      Array.from({ length: inFlightEach }, () => () => stream.echo(requestBytes)),
    );
    return await drive({ ...times, callers });
  },
});

/** What the floor's server is asked to do. */
export interface FloorLoad extends Omit<Drive, "callers"> {
  readonly inFlightEach: number;
  readonly requestBytes: number;
}
