import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningAgent, startAgent } from "../../src/agent/agent.ts";
import type { AgentOptions } from "../../src/agent/config.ts";
import { SimulatedEngine } from "../../src/agent/engine/simulated-engine.ts";
import { createFairlead, type Fairlead } from "../../src/client/create-fairlead.ts";
import type { ControlPlaneConfig } from "../../src/control-plane/config.ts";
import { type ControlPlane, startControlPlane } from "../../src/control-plane/control-plane.ts";
import { systemClock } from "../../src/resilience/clock.ts";
import { silentLogger } from "./silent-logger.ts";

const listen = { host: "127.0.0.1", port: 0 };

/** A control plane with TLS by its own authority and API keys, and agents with an engine each, on real sockets and files. */
export class TlsFleet implements AsyncDisposable {
  readonly folder: string;
  plane: ControlPlane;
  readonly #config: Partial<ControlPlaneConfig>;
  readonly #agents = new Set<RunningAgent>();
  readonly #engines = new Map<string, SimulatedEngine>();
  readonly #clients: Fairlead[] = [];

  private constructor(folder: string, plane: ControlPlane, config: Partial<ControlPlaneConfig>) {
    this.folder = folder;
    this.plane = plane;
    this.#config = config;
  }

  static async start(config: Partial<ControlPlaneConfig> = {}): Promise<TlsFleet> {
    const folder = await mkdtemp(join(tmpdir(), "fairlead-tls-"));
    return new TlsFleet(folder, await startPlane(folder, config), config);
  }

  /** Ends the control plane and starts another on the same data and the same port for agents. */
  async restart(config: Partial<ControlPlaneConfig> = {}): Promise<void> {
    const agentsListen = this.plane.agentsAddress;
    await this.plane.close(0);
    this.plane = await startPlane(this.folder, { ...this.#config, agentsListen, ...config });
  }

  agentFolder(name: string): string {
    return join(this.folder, name);
  }

  /** Starts the agent of a host; with a token the first time. It waits for nothing. */
  async agent(name: string, options: Partial<AgentOptions> = {}): Promise<RunningAgent> {
    const engine = this.#engines.get(name) ?? new SimulatedEngine({ clock: systemClock, engineId: name });
    this.#engines.set(name, engine);
    const agent = await startAgent({
      server: `127.0.0.1:${this.plane.agentsAddress.port}`,
      dataDir: this.agentFolder(name),
      name,
      engine,
      logger: silentLogger,
      ownContainerId: "",
      random: () => 0,
      ...options,
    });
    this.#agents.add(agent);
    return agent;
  }

  /** Starts the agent of a new host, and waits until it is there. */
  async enrol(name: string, options: Partial<AgentOptions> = {}): Promise<RunningAgent> {
    const agent = await this.agent(name, { token: await this.plane.createToken(name), ...options });
    await agent.ready;
    return agent;
  }

  /** A copy of the admin's key file as it is now. */
  async copyOfKeyFile(name: string): Promise<string> {
    const path = join(this.folder, name);
    await copyFile(this.plane.keyFile ?? "", path);
    return path;
  }

  /** A client with what a key file says. To be closed by nobody. */
  async client(keyFile = this.plane.keyFile ?? ""): Promise<Fairlead> {
    const { apiKey, ca } = JSON.parse(await readFile(keyFile, "utf8")) as { apiKey: string; ca: string };
    const { host, port } = this.plane.apiAddress;
    const server = `https://${host}:${port}`;
    const client = createFairlead({ server, apiKey, ca, retry: { attempts: 1 } });
    this.#clients.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all([...this.#agents].map((agent) => agent.close()));
    await Promise.all([...this.#engines.values()].map((engine) => engine.close()));
    await this.plane.close(0);
    await rm(this.folder, { recursive: true, force: true });
  }
}

function startPlane(folder: string, config: Partial<ControlPlaneConfig>): Promise<ControlPlane> {
  return startControlPlane({
    dataDir: join(folder, "data"),
    agentsListen: listen,
    apiListen: listen,
    tls: { kind: "own" },
    access: "keys",
    logger: silentLogger,
    ...config,
  });
}
