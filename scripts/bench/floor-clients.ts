import { once } from "node:events";
import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import { echoMethod } from "./echo-service.ts";
import { ownUsage } from "./own-usage.ts";
import { answerParent } from "./parent-link.ts";

// The floor's clients: each has a connection of its own, as agents have, and answers each message with one of a fixed size.

const streams: ClientDuplexStream<Buffer, Buffer>[] = [];
let flooding: AbortController | undefined;

answerParent({
  ...ownUsage,

  connect: ({ port, agents, responseBytes }: FloorClients) => {
    for (let index = 0; index < agents; index += 1) streams.push(connect(port, responseBytes));
  },

  flood: ({ messageBytes }: { messageBytes: number }) => {
    flooding = new AbortController();
    for (const stream of streams) void flood(stream, messageBytes, flooding.signal);
  },

  calm: () => flooding?.abort(),
});

// As fast as the server reads.
async function flood(
  stream: ClientDuplexStream<Buffer, Buffer>,
  messageBytes: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    if (!stream.write(Buffer.alloc(messageBytes))) await once(stream, "drain");
  }
}

function connect(port: number, responseBytes: number): ClientDuplexStream<Buffer, Buffer> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const { path, requestSerialize, responseDeserialize } = echoMethod;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  stream.on("error", () => undefined);
  stream.on("data", (message: Buffer) => {
    const answer = Buffer.alloc(responseBytes);
    message.copy(answer, 0, 0, 4);
    stream.write(answer);
  });
  return stream;
}

/** What the floor's clients are asked to do. */
export interface FloorClients {
  readonly port: number;
  readonly agents: number;
  readonly responseBytes: number;
}
