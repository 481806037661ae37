import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Something that listens where an engine should, for faults that a real one cannot be made to have. */
export interface FakeDocker {
  readonly path: string;
  /** Each request that arrived whole, as "METHOD path?query". */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** Starts one; `answer` is called for each request once its body has arrived. */
export async function startFakeDocker(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<FakeDocker> {
  const folder = await mkdtemp(join(tmpdir(), "fairlead-fake-"));
  const path = join(folder, "docker.sock");
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      requests.push(`${request.method} ${request.url}`);
      answer(request, response);
    });
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(path);
  await once(server, "listening");
  return {
    path,
    requests,
    async close() {
      for (const socket of sockets) {
        socket.destroy();
      }
      server.close();
      await once(server, "close");
      await rm(folder, { recursive: true, force: true });
    },
  };
}
