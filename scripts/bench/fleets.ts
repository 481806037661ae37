import type { ApiLoad } from "./api-callers.ts";
import { Child } from "./child.ts";
import type { Driven } from "./drive.ts";
import type { FloorClients } from "./floor-clients.ts";
import type { FloorLoad } from "./floor-server.ts";
import type { FloodedLog } from "./product-agents.ts";
import type { ProductLoad } from "./product-server.ts";

/** How many connections there are, and what they carry. */
export interface FleetSize {
  readonly agents: number;
  /** Of the product's agents; the floor has none. */
  readonly containersEach: number;
  /** Size of the floor's messages: about that of the product's, as it was measured. */
  readonly requestBytes: number;
  readonly responseBytes: number;
}

const collected = ["--expose-gc"];

/**
 * For what is told of memory. The part of the heap where new objects are made grows to more than 100 MB with how fast they are made, and is
 * not given back: of a thousand enrolments it was half of what was counted for idle agents.
 */
export const smallNursery: readonly string[] = ["--max-semi-space-size=1"];

/** The floor: a bare grpc-js server and its clients, each side in a process of its own. */
export class FloorFleet {
  readonly server: Child;
  readonly clients = new Child("./floor-clients.ts");
  #port = 0;
  #connected = 0;

  /** `nodeOptions`: more of them for the server. */
  constructor(nodeOptions: readonly string[] = []) {
    this.server = new Child("./floor-server.ts", { nodeOptions: [...collected, ...nodeOptions] });
  }

  /** Connects more clients and waits until the server has them all. */
  async connect({ agents, responseBytes }: FleetSize): Promise<void> {
    if (this.#port === 0) this.#port = await this.server.ask<number>("listen");
    const clients: FloorClients = { port: this.#port, agents, responseBytes };
    await this.clients.ask("connect", clients);
    this.#connected += agents;
    await this.server.ask("online", { agents: this.#connected });
  }

  drive(load: FloorLoad): Promise<Driven> {
    return this.server.ask("drive", load);
  }

  /** Lets every client send messages of this size without a pause, until `calm`. */
  async flood(messageBytes: number): Promise<void> {
    await this.clients.ask("flood", { messageBytes });
  }

  async calm(): Promise<void> {
    await this.clients.ask("calm");
  }

  /** The server's resident memory in bytes. */
  memory(): Promise<number> {
    return this.server.ask("memory");
  }

  async close(): Promise<void> {
    await Promise.all([this.clients.close(), this.server.close()]);
  }
}

/** Options of Node for a process that writes there what it spent its time on. */
export function profiling(folder: string | undefined): readonly string[] {
  return folder === undefined ? [] : ["--cpu-prof", "--cpu-prof-interval=500", `--cpu-prof-dir=${folder}`];
}

/** How a product's processes are started. */
export interface ProductOptions {
  /** Where they write what they spent their time on. */
  readonly profileFolder: string | undefined;
  /** More options of Node, for all of them. */
  readonly nodeOptions?: readonly string[];
  /** Whether both listeners of the control plane use TLS. */
  readonly tls?: boolean;
}

/** The product: a control plane, and its agents in other processes. */
export class ProductFleet {
  readonly server: Child;
  /** The agents' processes, one for each `connect`. */
  readonly agents: Child[] = [];
  /** Options of Node that all its processes have. */
  readonly nodeOptions: readonly string[];
  #connected = 0;

  constructor({ profileFolder, nodeOptions = [], tls = false }: ProductOptions) {
    this.nodeOptions = [...collected, ...nodeOptions, ...profiling(profileFolder)];
    this.server = new Child("./product-server.ts", {
      arguments: tls ? ["--tls"] : [],
      nodeOptions: this.nodeOptions,
    });
  }

  /** Enrols more agents, in a process of their own, and waits until they are online and have told what they run. */
  async connect({ agents, containersEach }: FleetSize): Promise<void> {
    const { agents: server } = await this.server.ask<{ agents: string }>("addresses");
    const token = await this.server.ask<string>("token", { maxUses: agents });
    const prefix = `fleet${this.agents.length}`;
    const child = new Child("./product-agents.ts", { nodeOptions: this.nodeOptions });
    this.agents.push(child);
    await child.ask("start", { server, token, agents, containers: containersEach, prefix });
    this.#connected += agents;
    await this.server.ask("online", { agents: this.#connected, containersEach });
  }

  drive(load: ProductLoad): Promise<Driven> {
    return this.server.ask("drive", load);
  }

  /** Where the API is, and what can be inspected there. */
  async api(): Promise<Pick<ApiLoad, "server" | "containers">> {
    const { api } = await this.server.ask<{ api: string }>("addresses");
    return { server: api, containers: await this.server.ask("containers") };
  }

  /** Lets a container of the first agent write so much for as long as it runs. */
  async flood(bytesPerSecond: number): Promise<FloodedLog> {
    const [first] = this.agents;
    if (first === undefined) throw new RangeError("no agents");
    return await first.ask("flood", { bytesPerSecond });
  }

  /** Asks the agents of all processes for something. */
  async ofAgents(method: "burst" | "storm" | "calm", parameters: unknown = {}): Promise<void> {
    await Promise.all(this.agents.map((child) => child.ask(method, parameters)));
  }

  /** Ends every session, and resolves to how many milliseconds it takes until all agents have a new one. */
  reconnect(): Promise<number> {
    return this.server.ask("reconnect");
  }

  /** The control plane's resident memory in bytes. */
  memory(): Promise<number> {
    return this.server.ask("memory");
  }

  async close(): Promise<void> {
    for (const child of [...this.agents, this.server]) {
      await child.ask("close").catch(() => undefined);
      await child.close();
    }
  }
}
