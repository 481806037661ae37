import { AsyncLocalStorage } from "node:async_hooks";
import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { fromJsonString } from "@bufbuild/protobuf";
import type { Engine, EngineContainer } from "../../../src/agent/engine/engine.ts";
import { SimulatedEngine } from "../../../src/agent/engine/simulated-engine.ts";
import type { SimulatedCall } from "../../../src/agent/engine/simulated-engine-options.ts";
import { FleetError } from "../../../src/domain/errors.ts";
import { ContainerSpecSchema } from "../../../src/gen/fairlead/container/v1/container_spec_pb.js";
import { ContainerUpdateSchema } from "../../../src/gen/fairlead/container/v1/container_update_pb.js";
import { systemClock } from "../../../src/resilience/clock.ts";
import { neverAborted } from "../../../src/resilience/signals.ts";
import * as wire from "./engine-wire.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** A change that the engine carried out for an agent, as the engine itself counted it. */
export interface Execution {
  readonly host: string;
  readonly method: SimulatedCall["method"];
  /** As the agent named it. */
  readonly container: string;
  readonly argument: string;
  /** Which process of the agent asked for it. */
  readonly incarnation: number;
  /** When the agent decided to ask, by the wall clock, in milliseconds. */
  readonly askedMs: number;
}

/** How often an engine's connection breaks during a change, and how long a call takes at most. */
export interface EngineManners {
  readonly breakBefore: number;
  readonly breakAfter: number;
  readonly maxLatencyMs: number;
}

/** What happened to a host that excuses an unknown outcome. */
export interface Breakage {
  readonly host: string;
  readonly container: string;
}

interface Asking {
  readonly incarnation: number;
  readonly askedMs: number;
}

/**
 * A simulated engine behind a unix socket. It outlives the agents that use it, as Docker does, goes on with what it was asked
 * when the connection breaks, and counts what it carries out where no agent can reach it.
 */
export class EngineHost {
  readonly host: string;
  readonly path: string;
  /** For the checker's own doings, which are not counted. */
  readonly engine: SimulatedEngine;
  readonly executions: Execution[] = [];
  readonly breakages: Breakage[] = [];
  /** Ids of containers that agents had made, with their names. */
  readonly created = new Map<string, string>();
  readonly #asking = new AsyncLocalStorage<Asking>();
  readonly #watchers = new Set<(container: string) => void>();
  readonly #random: SeededRandom;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #manners: EngineManners;
  #calm = false;

  constructor(options: {
    readonly host: string;
    readonly path: string;
    readonly random: SeededRandom;
    readonly manners: EngineManners;
    /** Networks besides bridge, host and none. */
    readonly networks?: readonly string[];
  }) {
    this.host = options.host;
    this.path = options.path;
    this.#random = options.random;
    this.#manners = options.manners;
    this.engine = new SimulatedEngine({
      clock: systemClock,
      random: options.random.fork("ids").next,
      engineId: `engine-of-${options.host}`,
      hostname: options.host,
      networks: options.networks ?? [],
      observe: (call) => this.#count(call),
    });
    this.#server = createServer((socket) => void this.#serve(socket));
  }

  /** Listens on its path. */
  async listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject).listen(this.path, resolve);
    await promise;
  }

  /** Plays an engine that is stopped for a while: nobody gets through, and event streams break. */
  async down(ms: number, signal: AbortSignal): Promise<void> {
    this.engine.setAvailable(false);
    await delay(ms, undefined, { signal }).catch(() => undefined);
    this.engine.setAvailable(true);
  }

  /**
   * Resolves in the moment in which an agent has asked for a change of a container that is wanted: nothing is done yet, and it will be, whatever
   * becomes of the agent. A creation is known by its name. Resolves also when the signal aborts.
   */
  async asked(isWanted: (container: string) => boolean, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const onAbort = () => resolve();
    const watcher = (container: string) => {
      if (isWanted(container)) resolve();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#watchers.add(watcher);
    try {
      await promise;
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** No more broken connections. */
  calm(): void {
    this.#calm = true;
  }

  /** The container as it is. Undefined: there is none. */
  async look(container: string): Promise<EngineContainer | undefined> {
    const all = await this.engine.listContainers(neverAborted).catch(() => undefined);
    if (all === undefined) return await delay(20).then(() => this.look(container));
    return all.find(({ id, name }) => id === container || name === container);
  }

  /** Ends the engine and all connections. */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const socket of this.#sockets) socket.destroy();
    await this.engine.close();
    await promise;
  }

  #count({ method, container, argument }: SimulatedCall): void {
    const asking = this.#asking.getStore();
    if (asking === undefined) return;
    this.executions.push({ host: this.host, method, container, argument, ...asking });
  }

  async #serve(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => this.#sockets.delete(socket));
    const line = await firstLine(socket);
    if (line === undefined) return;
    const request = JSON.parse(line) as wire.EngineRequest;
    const { incarnation, askedMs } = request;
    if (request.method === "watch") await this.#watch(request, socket);
    else await this.#answer(socket, request, { incarnation, askedMs });
  }

  async #answer(socket: Socket, request: wire.EngineRequest, asking: Asking): Promise<void> {
    const changes = wire.changingMethods.has(request.method);
    const { breakBefore, breakAfter, maxLatencyMs } = this.#manners;
    const luck = changes && !this.#calm ? this.#random.next() : 1;
    if (luck < breakBefore) {
      this.#break(socket, request);
      return;
    }
    if (changes) for (const watcher of this.#watchers) watcher(request.container);
    await delay(this.#random.between(0, maxLatencyMs));
    const reply = await this.#asking.run(asking, () => this.#carryOut(request));
    if (luck < breakBefore + breakAfter) this.#break(socket, request);
    else socket.end(wire.lineFrom(reply));
  }

  #break(socket: Socket, { container }: wire.EngineRequest): void {
    this.breakages.push({ host: this.host, container });
    socket.destroy();
  }

  async #carryOut(request: wire.EngineRequest): Promise<wire.EngineReply> {
    try {
      return { value: await this.#call(request) };
    } catch (error) {
      return wire.replyFromError(error);
    }
  }

  async #call(request: wire.EngineRequest): Promise<unknown> {
    const { method, container, argument, graceMs } = request;
    // An agent that goes away stops nothing that the engine has begun.
    const signal = neverAborted;
    const { engine } = this;
    switch (method) {
      case "facts":
        return wire.factsToJson(await engine.facts(signal));
      case "list":
        return (await engine.listContainers(signal)).map(wire.containerToJson);
      case "get":
        return wire.containerToJson(await engine.getContainer(container, signal));
      case "inspect": {
        const found = await engine.inspectContainer(container, signal);
        return { ...found, container: wire.containerToJson(found.container) };
      }
      case "create":
        return await this.#create(container, argument);
      case "stop":
        return await engine.stopContainer(container, graceMs, signal);
      case "restart":
        return await engine.restartContainer(container, graceMs, signal);
      case "kill":
        return await engine.killContainer(container, argument, signal);
      case "rename":
        return await engine.renameContainer(container, argument, signal);
      case "update":
        return await engine.updateContainer(
          container,
          fromJsonString(ContainerUpdateSchema, argument),
          signal,
        );
      case "exec":
        return await this.#exec(container, JSON.parse(argument) as string[]);
      case "remove": {
        const { force = false, removeVolumes = false } = request;
        return await engine.removeContainer(container, { force, removeVolumes }, signal);
      }
      default:
        return await changeOf(engine, method, container);
    }
  }

  async #create(name: string, specification: string): Promise<string> {
    const spec = fromJsonString(ContainerSpecSchema, specification);
    const id = await this.engine.createContainer(name, spec, neverAborted);
    this.created.set(id, name);
    return id;
  }

  async #exec(container: string, command: readonly string[]): Promise<wire.EndedProcess> {
    const spec = { command, environment: {}, workingDirectory: "", user: "", tty: false, stdin: false };
    const process = await this.engine.exec(container, { ...spec, privileged: false }, neverAborted);
    try {
      let text = "";
      for await (const { data } of process.output) text += Buffer.from(data).toString();
      return { exitCode: await process.exitCode(neverAborted), text };
    } finally {
      await process.kill();
    }
  }

  async #watch({ sinceNs }: wire.EngineRequest, socket: Socket): Promise<void> {
    const closed = new AbortController();
    socket.on("close", () => closed.abort());
    socket.resume();
    try {
      for await (const notice of this.engine.watch(
        closed.signal,
        sinceNs === undefined ? undefined : BigInt(sinceNs),
      )) {
        socket.write(wire.lineFrom({ value: wire.noticeToJson(notice) }));
      }
    } catch (error) {
      socket.write(wire.lineFrom(wire.replyFromError(error)));
    }
    socket.end();
  }
}

async function changeOf(engine: Engine, method: string, container: string): Promise<unknown> {
  switch (method) {
    case "start":
      return await engine.startContainer(container, neverAborted);
    case "pause":
      return await engine.pauseContainer(container, neverAborted);
    case "unpause":
      return await engine.unpauseContainer(container, neverAborted);
    default:
      throw new FleetError("INVALID_ARGUMENT", `no such method: ${method}`);
  }
}

/** Undefined: the connection ended before a whole line had come. */
async function firstLine(socket: Socket): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  let text = "";
  const onData = (chunk: string) => {
    text += chunk;
    const end = text.indexOf("\n");
    if (end >= 0) resolve(text.slice(0, end));
  };
  socket
    .setEncoding("utf8")
    .on("data", onData)
    .once("close", () => resolve(undefined));
  try {
    return await promise;
  } finally {
    socket.off("data", onData);
  }
}
