import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { pino } from "pino";
import { type RunningAgent, startAgent } from "../../src/agent/agent.ts";
import type { Engine } from "../../src/agent/engine/engine.ts";
import { createFairlead, type Fairlead } from "../../src/client/create-fairlead.ts";
import type { ControlPlaneConfig } from "../../src/control-plane/config.ts";
import type { Container } from "../../src/gen/fairlead/container/v1/container_pb.js";
import {
  type ContainerSpec,
  ContainerSpecSchema,
} from "../../src/gen/fairlead/container/v1/container_spec_pb.js";
import type { Event, EventType } from "../../src/gen/fairlead/event/v1/event_pb.js";
import type { Host } from "../../src/gen/fairlead/host/v1/host_pb.js";
import { keyFileOf } from "./api-place.ts";
import type { LogLine } from "./agent-harness.ts";
import { eventually, type TestControlPlane, testControlPlane } from "./control-plane-harness.ts";
import { fleetImage, stateWord, truthLine } from "./fleet-engine.ts";

/** How long anything may take that a test waits for: an upper bound for a slow machine, no expectation. */
export const patienceMs = 10_000;

/** No time at all for a process to end by itself. */
export const noGrace = durationFromMs(0);

interface Member {
  agent: RunningAgent;
  readonly engine: Engine;
  readonly dataDir: string;
}

/**
 * A control plane and real agents on real sockets, seen through the API alone. Its end closes everything and fails when
 * a socket or a folder is left. Engines are not closed.
 */
export class Fleet implements AsyncDisposable {
  readonly plane: TestControlPlane;
  /** What all agents logged. */
  readonly agentLines: LogLine[] = [];
  readonly api: Fairlead;
  readonly #members = new Map<string, Member>();
  readonly #socketsBefore: number;

  private constructor(plane: TestControlPlane, socketsBefore: number) {
    this.plane = plane;
    this.#socketsBefore = socketsBefore;
    this.api = this.client("connect");
  }

  /** A client of the API, with the key of the first admin. */
  client(protocol: "connect" | "grpc"): Fairlead {
    const access = keyFileOf(this.plane.controlPlane.keyFile ?? "");
    // Nothing is repeated, so that the test sees each error.
    return createFairlead({ ...access, protocol, retry: { attempts: 1 } });
  }

  /** Starts a control plane without hosts. What an engine cannot do now is tried again soon. */
  static async start(config: Partial<ControlPlaneConfig> = {}): Promise<Fleet> {
    const before = openSockets();
    const plane = await testControlPlane({ reconnectAfterMs: 1, ...config });
    return new Fleet(plane, before);
  }

  /** Enrols a host of that name and waits until it is in the inventory. */
  async enrol(name: string, engine: Engine): Promise<Host> {
    const dataDir = await mkdtemp(join(tmpdir(), "fairlead-fleet-"));
    const token = await this.plane.controlPlane.createToken(name);
    this.#members.set(name, { engine, dataDir, agent: await this.#start(name, engine, dataDir, token) });
    return this.untilHost(name, ({ online, engineAvailable }) => online && engineAvailable);
  }

  /** Ends the agent of a host, and waits until everybody knows. */
  async stopAgent(name: string): Promise<void> {
    await this.#member(name).agent.close();
    await this.untilHost(name, ({ online }) => !online);
  }

  /** Starts the agent of a host again, with what it has kept. */
  async restartAgent(name: string): Promise<Host> {
    const member = this.#member(name);
    member.agent = await this.#start(name, member.engine, member.dataDir);
    return this.untilHost(name, ({ online }) => online);
  }

  /** Ends the control plane, within a grace or at once, and starts another on the same data and addresses. */
  async restartControlPlane(): Promise<void> {
    const { agentsAddress, apiAddress } = this.plane.controlPlane;
    await this.plane.restart({ agentsListen: agentsAddress, apiListen: apiAddress });
  }

  /** The host, once it is as wanted. */
  untilHost(name: string, isWanted: (host: Host) => boolean): Promise<Host> {
    return eventually(
      async () => {
        const { hosts } = await this.api.hosts.listHosts({});
        return hosts.find((host) => host.name === name && isWanted(host));
      },
      `host ${name} is as wanted`,
      patienceMs,
    );
  }

  /** Creates a container that sleeps, and starts it unless told otherwise. */
  async make(
    host: string,
    name: string,
    labels: Readonly<Record<string, string>>,
    more: { readonly start?: boolean; readonly command?: string[] } = {},
  ): Promise<Container> {
    const { start = true, command = ["sleep", "600"] } = more;
    const spec = sleeping(labels, command);
    const { container } = await this.api.containers.createContainer({ host, name, spec, start });
    assert.ok(container !== undefined);
    return container;
  }

  /** The containers with these labels in the inventory, of all hosts or of some. */
  async list(labels: Readonly<Record<string, string>>, ...hosts: string[]): Promise<Container[]> {
    const wanted = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
    const { containers } = await this.api.containers.listContainers({
      hosts,
      labels: wanted,
      pageSize: 1_000,
    });
    return containers;
  }

  /** Waits until the inventory says of a host's containers what its engine itself says. */
  async untilTrue(
    host: string,
    engine: {
      readonly labels: Readonly<Record<string, string>>;
      truth(): Promise<Record<string, string>>;
    },
  ): Promise<void> {
    const told = async () => {
      const containers = await this.list(engine.labels, host);
      return Object.fromEntries(containers.map((each) => [truthLine(each), stateWord(each.state)]));
    };
    const isTrue = async () => same(await told(), await engine.truth());
    await eventually(isTrue, "the inventory equals the engine", patienceMs).catch(async () =>
      assert.deepEqual(await told(), await engine.truth()),
    );
  }

  /** The container with that id in the inventory, once it is as wanted. */
  untilContainer(id: string, isWanted: (container: Container) => boolean): Promise<Container> {
    const find = async () => {
      const { containers } = await this.api.containers.listContainers({ pageSize: 1_000 });
      return containers.find((container) => container.id === id && isWanted(container));
    };
    return eventually(find, `container ${id} is as wanted`, patienceMs);
  }

  /** All events so far that match, oldest first. */
  async events(
    filter: { types?: EventType[]; container?: string; commandId?: string } = {},
  ): Promise<Event[]> {
    const { events } = await this.api.events.listEvents({ filter, pageSize: 1_000 });
    return events;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#members.values()].map(({ agent }) => agent.close()));
    this.api.close();
    const folders = [...this.#members.values()].map(({ dataDir }) => dataDir);
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true })));
    await this.plane[Symbol.asyncDispose]();
    const left = [this.plane.dataDir, ...folders].filter((folder) => existsSync(folder));
    assert.deepEqual(left, [], "folders are left");
    await eventually(() => openSockets() <= this.#socketsBefore, "all sockets are closed", patienceMs);
  }

  async #start(name: string, engine: Engine, dataDir: string, token?: string): Promise<RunningAgent> {
    const logger = pino(
      { level: "debug" },
      { write: (line: string) => void this.agentLines.push(JSON.parse(line) as LogLine) },
    );
    return startAgent({
      server: this.plane.agentsServer,
      dataDir,
      engine,
      name,
      logger,
      ...(token === undefined ? {} : { token }),
      // As on a host: what a test itself runs in shall not be protected.
      ownContainerId: "",
      // No waiting between sessions: full jitter of nothing.
      random: () => 0,
    });
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    assert.ok(member !== undefined, `no host ${name} was enrolled`);
    return member;
  }
}

/** A container of the tests' image that does nothing for a while. It ignores SIGTERM, as a first process does. */
export function sleeping(
  labels: Readonly<Record<string, string>>,
  command: string[] = ["sleep", "600"],
): ContainerSpec {
  return create(ContainerSpecSchema, { image: fleetImage, command, labels: { ...labels } });
}

function openSockets(): number {
  const kinds = new Set(["TCPSocketWrap", "TCPServerWrap"]);
  return process.getActiveResourcesInfo().filter((kind) => kinds.has(kind)).length;
}

function same(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
