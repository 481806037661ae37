import type { ApiLoad } from "./api-callers.ts";
import { Child } from "./child.ts";
import type { Driven } from "./drive.ts";
import type { FloorClients } from "./floor-clients.ts";
import type { FloorLoad } from "./floor-server.ts";
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

/** The floor: a bare grpc-js server and its clients, each side in a process of its own. */
export class FloorFleet {
  readonly #server: Child;
  readonly #clients = new Child("./floor-clients.ts");
  #port = 0;
  #connected = 0;

  /** `nodeOptions`: more of them for the server. */
  constructor(nodeOptions: readonly string[] = []) {
    this.#server = new Child("./floor-server.ts", { nodeOptions: [...collected, ...nodeOptions] });
  }

  /** Connects more clients and waits until the server has them all. */
  async connect({ agents, responseBytes }: FleetSize): Promise<void> {
    if (this.#port === 0) this.#port = await this.#server.ask<number>("listen");
    const clients: FloorClients = { port: this.#port, agents, responseBytes };
    await this.#clients.ask("connect", clients);
    this.#connected += agents;
    await this.#server.ask("online", { agents: this.#connected });
  }

  drive(load: FloorLoad): Promise<Driven> {
    return this.#server.ask("drive", load);
  }

  /** The server's resident memory in bytes. */
  memory(): Promise<number> {
    return this.#server.ask("memory");
  }

  async close(): Promise<void> {
    await Promise.all([this.#clients.close(), this.#server.close()]);
  }
}

/** The product: a control plane, and its agents in another process. */
export class ProductFleet {
  readonly #server: Child;
  readonly #fleets: Child[] = [];
  readonly #profile: readonly string[];
  #connected = 0;

  /** `profileFolder`: where both processes write what they spent their time on. `nodeOptions`: more of them for the server. */
  constructor(profileFolder?: string, nodeOptions: readonly string[] = []) {
    this.#profile =
      profileFolder === undefined
        ? []
        : ["--cpu-prof", "--cpu-prof-interval=500", `--cpu-prof-dir=${profileFolder}`];
    this.#server = new Child("./product-server.ts", {
      nodeOptions: [...collected, ...nodeOptions, ...this.#profile],
    });
  }

  /** Enrols more agents and waits until they are online and have told what they run. */
  async connect({ agents, containersEach }: FleetSize): Promise<void> {
    const { agents: server } = await this.#server.ask<{ agents: string }>("addresses");
    const token = await this.#server.ask<string>("token", { maxUses: agents });
    const options = {
      agents,
      containers: containersEach,
      server,
      token,
      prefix: `fleet${this.#fleets.length}`,
    };
    const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    this.#fleets.push(
      new Child("../simulate-fleet.ts", { arguments: [...words, "--terse"], nodeOptions: this.#profile }),
    );
    this.#connected += agents;
    await this.#server.ask("online", { agents: this.#connected, containersEach });
  }

  drive(load: ProductLoad): Promise<Driven> {
    return this.#server.ask("drive", load);
  }

  /** Where the API is, and what can be inspected there. */
  async api(): Promise<Pick<ApiLoad, "server" | "containers">> {
    const { api } = await this.#server.ask<{ api: string }>("addresses");
    return { server: api, containers: await this.#server.ask("containers") };
  }

  /** The server's resident memory in bytes. */
  memory(): Promise<number> {
    return this.#server.ask("memory");
  }

  async close(): Promise<void> {
    await Promise.all(this.#fleets.map((fleet) => fleet.close()));
    await this.#server.ask("close").catch(() => undefined);
    await this.#server.close();
  }
}
