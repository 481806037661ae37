import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect, createServer } from "node:net";
import type { AddressInfo, NetConnectOpts, Server, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type HttpPort, type HttpPortOptions, openHttpPort } from "../../src/rpc/http-port.ts";
import { eventually } from "./api-harness.ts";

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

describe("HTTP port", () => {
  let port: HttpPort;
  const relays: Server[] = [];

  const open = async (options: Partial<HttpPortOptions> = {}): Promise<void> => {
    port = await openHttpPort({ listen: { host: "127.0.0.1", port: 0 }, onRequest: countBytes, ...options });
  };
  const dial = async (options: Partial<NetConnectOpts> = {}): Promise<Socket> => {
    const socket = connect({ host: "127.0.0.1", port: port.address.port, ...options });
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  /** A way to the port on which a client's bytes pass through `pass`. */
  const relay = async (pass: (chunk: Buffer, onward: Socket) => Promise<void>): Promise<number> => {
    const server = createServer((inbound) => {
      const onward = connect({ host: "127.0.0.1", port: port.address.port, noDelay: true });
      let queue = Promise.resolve();
      inbound.on("data", (chunk) => void (queue = queue.then(() => pass(chunk, onward))));
      onward.pipe(inbound);
      for (const socket of [inbound, onward]) socket.on("error", () => {});
      inbound.on("close", () => onward.destroy());
    });
    relays.push(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };

  afterEach(async () => {
    await port.close();
    for (const server of relays.splice(0)) server.close();
    assert.equal(port.connectionCount, 0);
  });

  it("speaks HTTP/1.1 and HTTP/2 on one port, also with large bodies", async () => {
    await open();
    assert.deepEqual(await postByHttp1(port.address.port, 3_000_000), ["1.1", 3_000_000]);
    assert.deepEqual(await postByHttp2(port.address.port, 3_000_000), ["2.0", 3_000_000]);
  });

  it("understands both when the first bytes come one by one", async () => {
    await open();
    let slowly = 120;
    const by = await relay(async (chunk, onward) => {
      let sent = 0;
      for (; slowly > 0 && sent < chunk.byteLength; slowly -= 1, sent += 1) {
        onward.write(chunk.subarray(sent, sent + 1));
        await delay(1);
      }
      onward.write(chunk.subarray(sent));
    });
    assert.deepEqual(await postByHttp1(by, 100_000), ["1.1", 100_000]);
    slowly = 120;
    assert.deepEqual(await postByHttp2(by, 100_000), ["2.0", 100_000]);
  });

  it("loses nothing of what comes together with the first bytes", async () => {
    await open();
    const held: Buffer[] = [];
    const by = await relay(async (chunk, onward) => {
      held.push(chunk);
      // Until the client waits for an answer.
      if (held.length === 1) await delay(50);
      else return;
      queueMicrotask(() => {
        onward.write(Buffer.concat(held));
        held.length = 0;
      });
    });
    assert.deepEqual(await postByHttp2(by, 30_000), ["2.0", 30_000]);
  });

  it("keeps an HTTP/1.1 connection for the next request", async () => {
    await open();
    const socket = await dial();
    for (let request = 0; request < 3; request += 1) {
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      const [answer] = (await once(socket, "data")) as [Buffer];
      assert.match(answer.toString(), /^HTTP\/1\.1 200/);
    }
    assert.equal(port.connectionCount, 1);
    socket.destroy();
  });

  it("answers a client that closes its half after the request", async () => {
    await open();
    const socket = await dial({ allowHalfOpen: true });
    socket.end("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 200/);
  });

  it("ends a connection that says nothing, or too little, in time", async () => {
    await open({ patience: { firstBytesMs: 100 } });
    const silent = await dial();
    const halfway = await dial();
    halfway.write(preface.slice(0, 10));
    await Promise.all([once(silent, "close"), once(halfway, "close")]);
    await eventually(() => port.connectionCount === 0, "both are forgotten");
  });

  it("ends a connection that is idle for too long, but not one with a request open", async () => {
    await open({
      patience: { idleMs: 150 },
      onRequest(_request, response) {
        response.writeHead(200);
        response.write("begun");
      },
    });
    const idle = connectHttp2(`http://127.0.0.1:${port.address.port}`);
    const busy = connectHttp2(`http://127.0.0.1:${port.address.port}`);
    const stream = busy.request({ ":path": "/" });
    stream.on("error", () => {});
    stream.resume();
    await once(stream, "response");
    await once(idle, "close");
    await delay(200);
    assert.equal(busy.closed, false);
    busy.destroy();
  });

  it("V09 lives through random bytes, half prefaces, broken frames and resets", async () => {
    await open();
    const sockets = await Promise.all(
      Array.from({ length: 50 }, async (_none, index) => {
        const socket = await dial();
        const begin = [
          "",
          preface,
          preface.slice(0, 12),
          "GET / HTTP/1.1\r\n",
          "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        ];
        socket.write(begin[index % begin.length] ?? "");
        socket.write(randomBytes(1 + ((index * 977) % 20_000)));
        await delay(index % 7);
        if (index % 3 === 0) socket.resetAndDestroy();
        else if (index % 3 === 1) socket.end();
        return socket;
      }),
    );
    assert.deepEqual(await postByHttp1(port.address.port, 10), ["1.1", 10]);
    assert.deepEqual(await postByHttp2(port.address.port, 10), ["2.0", 10]);
    for (const socket of sockets) socket.destroy();
    await eventually(() => port.connectionCount <= 1, "nothing is left of them");
  });

  it("V09 lives through clients that vanish in the middle of an answer", async () => {
    const chunk = Buffer.alloc(256 * 1024);
    await open({
      onRequest(_request, response) {
        response.on("error", () => {});
        response.writeHead(200);
        const more = (): void => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on("drain", more);
        more();
      },
    });
    const session = connectHttp2(`http://127.0.0.1:${port.address.port}`);
    session.on("error", () => {});
    const cancelled = session.request({ ":path": "/" });
    await once(cancelled, "response");
    cancelled.close(constants.NGHTTP2_CANCEL);
    const socket = await dial();
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(socket, "data");
    socket.resetAndDestroy();
    await delay(20);
    session.destroy();
    await eventually(() => port.connectionCount === 0, "both are forgotten");
  });

  it("rejects with the system's error when the port is taken", async () => {
    await open();
    const again = openHttpPort({ listen: port.address, onRequest: countBytes });
    await assert.rejects(again, { code: "EADDRINUSE" });
  });
});

const countBytes: HttpPortOptions["onRequest"] = (request, response) => {
  let bytes = 0;
  request.on("data", (chunk: Buffer) => (bytes += chunk.byteLength));
  request.on("end", () => {
    response.writeHead(200);
    response.end(JSON.stringify([request.httpVersion, bytes]));
  });
};

async function postByHttp1(port: number, bytes: number): Promise<unknown> {
  const headers = { connection: "close" };
  const answer = await fetch(`http://127.0.0.1:${port}`, {
    method: "POST",
    headers,
    body: Buffer.alloc(bytes),
  });
  return answer.json();
}

async function postByHttp2(port: number, bytes: number): Promise<unknown> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({ ":method": "POST", ":path": "/" });
    stream.end(Buffer.alloc(bytes));
    return JSON.parse(Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>)).toString());
  } finally {
    session.destroy();
  }
}
