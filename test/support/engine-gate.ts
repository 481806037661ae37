import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** A socket in front of an engine's own that lets everything through but what a test holds back. */
export interface EngineGate extends AsyncDisposable {
  /** What was held back so far, as "METHOD path". */
  readonly held: readonly string[];
  /** Holds back, for ever, every request to come whose "METHOD path" matches. */
  hold(pattern: RegExp): void;
  /** Lets through what comes from now on. */
  open(): void;
}

/** Opens one at `path`. It does not know connections that are taken over, as attach and exec do. */
export async function openEngineGate(path: string, enginePath: string): Promise<EngineGate> {
  const held: string[] = [];
  const sockets = new Set<Socket>();
  let heldBack: RegExp | undefined;
  const server = createServer((incoming, outgoing) => {
    const asked = `${incoming.method} ${incoming.url}`;
    if (heldBack?.test(asked) === true) held.push(asked);
    else forward(incoming, outgoing, enginePath);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(path);
  await once(server, "listening");
  return {
    held,
    hold: (pattern) => {
      heldBack = pattern;
    },
    open: () => {
      heldBack = undefined;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function forward(incoming: IncomingMessage, outgoing: ServerResponse, socketPath: string): void {
  const { method, url: path, headers } = incoming;
  const asking = request({ socketPath, method, path, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    // The engine's events begin with nothing but these.
    outgoing.flushHeaders();
    answer.on("error", () => outgoing.destroy());
    answer.pipe(outgoing);
  });
  asking.on("error", () => outgoing.destroy());
  outgoing.on("close", () => asking.destroy());
  incoming.pipe(asking);
}
