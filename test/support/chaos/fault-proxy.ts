import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** Which way bytes go: up from whoever connected, down to it. */
export type Direction = "up" | "down";

/** A proxied connection. */
interface Link {
  readonly near: Socket;
  readonly far: Socket;
  readonly swallows: Set<Direction>;
  readonly stalls: Set<Direction>;
  /** Bytes of it were swallowed: it can only be cut. */
  spoilt: boolean;
}

/** A TCP proxy on a port of its own whose connections can be cut, reset, stalled, made deaf in one direction, and refused. */
export class FaultProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #target: () => number | undefined;
  #refusals = 0;

  private constructor(server: Server, target: () => number | undefined) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (near) => this.#take(near));
  }

  /** Listens on any free loopback port. `target` is asked for the port behind it at each connection; undefined refuses it. */
  static async start(target: () => number | undefined): Promise<FaultProxy> {
    const server = createServer();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
    await promise;
    return new FaultProxy(server, target);
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#links.size;
  }

  /** Closes all connections as a process that exits does. */
  cut(): void {
    for (const link of this.#links) end(link, (socket) => socket.destroy());
  }

  /** Resets all connections (RST). */
  reset(): void {
    for (const link of this.#links) end(link, (socket) => socket.resetAndDestroy());
  }

  /** Holds back what goes in one direction, and lets it go on later, in order. */
  async stall(direction: Direction, ms: number, signal: AbortSignal): Promise<void> {
    const links = [...this.#links];
    for (const link of links) {
      link.stalls.add(direction);
      source(link, direction).pause();
    }
    await pause(ms, signal);
    for (const link of links) {
      link.stalls.delete(direction);
      source(link, direction).resume();
    }
  }

  /** A half-open connection: what goes in one direction is swallowed, and nobody is told until the end, when what lost bytes is cut. */
  async swallow(direction: Direction, ms: number, signal: AbortSignal): Promise<void> {
    const links = [...this.#links];
    for (const link of links) link.swallows.add(direction);
    await pause(ms, signal);
    for (const link of links) {
      link.swallows.delete(direction);
      if (link.spoilt) end(link, (socket) => socket.destroy());
    }
  }

  /** Turns new connections away. */
  async refuse(ms: number, signal: AbortSignal): Promise<void> {
    this.#refusals += 1;
    await pause(ms, signal);
    this.#refusals -= 1;
  }

  /** Ends everything. */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.cut();
    await promise;
  }

  #take(near: Socket): void {
    const port = this.#target();
    near.on("error", () => undefined);
    if (this.#refusals > 0 || port === undefined) {
      near.resetAndDestroy();
      return;
    }
    const far = connect({ port, host: "127.0.0.1", noDelay: true });
    near.setNoDelay(true);
    const link: Link = { near, far, swallows: new Set(), stalls: new Set(), spoilt: false };
    this.#links.add(link);
    carry(link, near, far, "up");
    carry(link, far, near, "down");
    far.on("error", () => near.destroy());
    far.on("close", () => this.#drop(link, near));
    near.on("close", () => this.#drop(link, far));
  }

  #drop(link: Link, other: Socket): void {
    this.#links.delete(link);
    // What one side has said before it closed still reaches the other, unless the link is deaf.
    if (link.swallows.size > 0) other.destroy();
    else other.destroySoon();
  }
}

function carry(link: Link, from: Socket, to: Socket, direction: Direction): void {
  from.on("data", (chunk) => {
    if (link.swallows.has(direction)) {
      link.spoilt = true;
      return;
    }
    if (!to.write(chunk)) from.pause();
  });
  to.on("drain", () => {
    if (!link.stalls.has(direction)) from.resume();
  });
}

function source({ near, far }: Link, direction: Direction): Socket {
  return direction === "up" ? near : far;
}

function end({ near, far }: Link, how: (socket: Socket) => void): void {
  how(near);
  how(far);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
