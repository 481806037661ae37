import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from "@grpc/grpc-js";
import { FleetError } from "../../src/domain/errors.ts";
import { AgentService } from "../../src/gen/fairlead/agent/v1/agent_service_pb.js";
import {
  DataStreamRequestSchema,
  DataStreamResponseSchema,
} from "../../src/gen/fairlead/agent/v1/data_stream_pb.js";
import { neverAborted } from "../../src/resilience/signals.ts";
import { grpcErrorFrom } from "../../src/rpc/grpc-error.ts";
import { grpcMethod, grpcService, type WireMessage, wireMessage } from "../../src/rpc/grpc-service.ts";
import { channelOptions } from "../../src/rpc/agent-channel.ts";
import { type DuplexCall, MessageStream } from "../../src/rpc/message-stream.ts";
import { silentLogger } from "../support/silent-logger.ts";

type ServerCall = ServerDuplexStream<WireMessage, WireMessage>;
type ClientCall = ClientDuplexStream<WireMessage, WireMessage>;

const record = (bytes: number) => ({
  message: {
    case: "logs" as const,
    value: { records: [{ data: Buffer.alloc(bytes), time: { seconds: 1n } }] },
  },
});

const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => assert.fail("it did not fail"),
    (error: unknown) => (error instanceof FleetError ? error.reason : String(error)),
  );

const types = { incoming: DataStreamResponseSchema, outgoing: DataStreamRequestSchema };

/** A call that takes everything, and sends what it is told to. */
class HeldCall extends EventEmitter implements DuplexCall {
  readonly held: (() => void)[] = [];

  write(_message: WireMessage, sent: () => void): boolean {
    this.held.push(sent);
    return true;
  }

  end(): void {}
  pause(): void {}
  resume(): void {}
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn();
}

describe("typed messages over a grpc-js stream", () => {
  let server: Server;
  let client: Client;
  let clientCall: ClientCall;
  let serverCall: ServerCall;
  let here: MessageStream<typeof DataStreamRequestSchema, typeof DataStreamResponseSchema>;
  let there: MessageStream<typeof DataStreamResponseSchema, typeof DataStreamRequestSchema>;

  beforeEach(async () => {
    const opened = Promise.withResolvers<ServerCall>();
    server = new Server();
    server.addService(grpcService(AgentService), {
      agentStream: () => assert.fail("nobody opens one"),
      dataStream: opened.resolve,
    });
    const bound = Promise.withResolvers<number>();
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? bound.resolve(port) : bound.reject(error),
    );
    client = new Client(`127.0.0.1:${await bound.promise}`, credentials.createInsecure(), channelOptions);
    const { path, requestSerialize, responseDeserialize } = grpcMethod(AgentService.method.dataStream);
    clientCall = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    there = new MessageStream(clientCall, {
      incoming: DataStreamResponseSchema,
      outgoing: DataStreamRequestSchema,
    });
    serverCall = await opened.promise;
    here = new MessageStream(serverCall, {
      incoming: DataStreamRequestSchema,
      outgoing: DataStreamResponseSchema,
    });
  });
  afterEach(() => {
    clientCall.cancel();
    client.close();
    server.forceShutdown();
  });

  it("carries messages in order, and the end after them", async () => {
    for (const bytes of [1, 2, 3]) await there.send(record(bytes));
    there.finish();
    const read: number[] = [];
    for (let message = await here.next(neverAborted); message; message = await here.next(neverAborted)) {
      if (message.message.case === "logs") read.push(message.message.value.records[0]?.data.length ?? 0);
    }
    assert.deepEqual(read, [1, 2, 3]);
  });

  it("D02 a sender waits while nobody reads, and goes on when somebody does", async () => {
    const total = 4_000;
    const messageBytes = 16_000;
    let sent = 0;
    const sending = (async () => {
      for (; sent < total; sent += 1) await there.send(record(messageBytes));
      there.finish();
    })();
    let before = -1;
    while (before !== sent) {
      before = sent;
      await delay(200);
    }
    // What waits here, the window of an HTTP/2 stream, and what the other side has read ahead, each once. It would be 64 MB.
    assert.ok(sent * messageBytes < 512 * 1024, `${sent} messages were taken that nobody read`);
    let read = 0;
    while ((await here.next(neverAborted)) !== undefined) read += 1;
    await sending;
    assert.equal(read, total);
  });

  it("D03 an end of one's own wakes who waits to read and who waits to send", async () => {
    const stream = new MessageStream(new HeldCall(), types);
    const reading = stream.next(neverAborted);
    const sending = (async () => {
      for (;;) await stream.send(record(60_000), neverAborted);
    })();
    await turns(20);
    stream.end(new FleetError("CANCELLED", "enough"));
    for (const waiting of [reading, sending]) await assert.rejects(waiting, /enough/);
  });

  it("D02 what waits in the call for a peer that does not read is bounded in bytes, and small messages in number", async () => {
    for (const { bytes, most } of [
      { bytes: 60_000, most: 3 },
      { bytes: 16_000, most: 9 },
      { bytes: 1, most: 16 },
    ]) {
      const call = new HeldCall();
      const stream = new MessageStream(call, types);
      let sent = 0;
      const sending = (async () => {
        for (; sent < 100; sent += 1) await stream.send(record(bytes));
      })();
      await turns(100);
      assert.equal(call.held.length, most, `messages of ${bytes} bytes`);
      assert.equal(sent, most - 1);
      call.held.shift()?.();
      await turns(100);
      assert.equal(call.held.length, most, "one has gone, and one has come");
      stream.end(new FleetError("CANCELLED", "enough"));
      await assert.rejects(sending);
    }
  });

  it("D04 a reader and a sender who need not wait give way to the rest of the process", async () => {
    const call = new HeldCall();
    const stream = new MessageStream(call, types);
    for (let come = 0; come < 64; come += 1) call.emit("data", Buffer.alloc(16_384));
    let others = 0;
    let immediate = setImmediate(function other() {
      others += 1;
      immediate = setImmediate(other);
    });
    for (let read = 0; read < 64; read += 1) await stream.nextBytes(neverAborted);
    assert.ok(others >= 60, `the rest had ${others} turns while 1 MiB was read`);
    others = 0;
    for (let sent = 0; sent < 64; sent += 1) {
      await stream.send(record(16_384));
      call.held.shift()?.();
    }
    clearImmediate(immediate);
    assert.ok(others >= 60, `the rest had ${others} turns while 1 MiB was sent`);
  });

  it("D03 both ends hear of the other's end, a waiting sender as well as a waiting reader", async () => {
    const reading = reasonOf(there.next(neverAborted));
    serverCall.emit("error", grpcErrorFrom(new FleetError("TOO_MANY_STREAMS", "enough"), silentLogger));
    assert.equal(await reading, "TOO_MANY_STREAMS");
    assert.ok(there.signal.aborted);
    assert.equal(await reasonOf(there.send(record(1))), "TOO_MANY_STREAMS");
  });

  it("D03 a call that is cancelled ends the other side, also one that waits for room", async () => {
    const filling = reasonOf(
      (async () => {
        for (;;) await here.send({ message: { case: "accepted", value: {} } });
      })(),
    );
    await there.next(neverAborted);
    clientCall.cancel();
    assert.equal(await filling, "SESSION_LOST");
  });

  it("a signal ends the wait and nothing else", async () => {
    const waiting = new AbortController();
    const reading = reasonOf(here.next(waiting.signal));
    waiting.abort(new FleetError("CANCELLED", "enough waited"));
    assert.equal(await reading, "CANCELLED");
    await there.send(record(5));
    assert.equal((await here.next(neverAborted))?.message.case, "logs");
  });

  it("V02 refuses what does not decode and what breaks a bound", async () => {
    clientCall.write(wireMessage(Buffer.from([0xff, 0xff])));
    assert.equal(await reasonOf(here.next(neverAborted)), "PROTOCOL_VIOLATION");
    await there.send({ message: { case: "opening", value: { ticket: Buffer.alloc(3) } } });
    assert.equal(await reasonOf(here.next(neverAborted)), "INVALID_ARGUMENT");
  });
});
