import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { AgentNews, AgentSettings } from "./agent-process.ts";
import type { ControlPlaneReady, ControlPlaneSettings } from "./control-plane-process.ts";
import { EngineHost, type EngineManners } from "./engine-host.ts";
import { FaultProxy } from "./fault-proxy.ts";
import type { Fault, FaultKind } from "./faults.ts";
import type { Recorder } from "./recorder.ts";
import { Replacement } from "./replacement.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { processOf, type Victim } from "./victim.ts";

/** What a fleet is made of. */
export interface FleetOptions {
  /** Where its files go. */
  readonly folder: string;
  /** Where the product's sources are: the folder that has `src` and this file's folder. */
  readonly root: string;
  readonly agents: number;
  readonly manners: EngineManners;
  /** How many commands an agent runs at once. Undefined: the product's own number. */
  readonly concurrentCommands: number | undefined;
  readonly random: SeededRandom;
  readonly recorder: Recorder;
}

/** A host: its engine, its agent's process, and the way from that to the control plane. */
interface Host {
  readonly name: string;
  readonly engine: EngineHost;
  readonly agent: Victim;
  readonly proxy: FaultProxy;
  readonly dataDir: string;
  incarnation: number;
  token: string;
  /** Its agent has been online since it was started last: the data folder is its own. */
  isUp: boolean;
  /** Its agent is being replaced, or stands still. */
  isHeld: boolean;
}

/** This project. */
export const projectRoot = fileURLToPath(new URL("../../..", import.meta.url));
const planeFolder = "control-plane";
const journalFiles = ["journal.db", "journal.db-wal", "journal.db-shm", "journal-id"];

/**
 * A control plane and agents in processes of their own, engines that outlive them, and proxies between them. Every process
 * that ends is started again, until `close`.
 */
export class Fleet {
  /** Where callers reach the API, whatever becomes of the control plane. */
  readonly apiProxy: FaultProxy;
  readonly engines: ReadonlyMap<string, EngineHost>;
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #options: FleetOptions;
  readonly #plane: Victim;
  readonly #ports: Ports;
  readonly #running = new Set<Promise<void>>();
  readonly #others = new Set<Replacement>();
  readonly #awayMs = new Map<Victim, number>();
  readonly #faults = new AbortController();
  readonly #closing = new AbortController();
  #listening = Promise.withResolvers<void>();

  private constructor(options: FleetOptions, hosts: readonly Host[], apiProxy: FaultProxy, ports: Ports) {
    this.#options = options;
    this.#hosts = new Map(hosts.map((host) => [host.name, host]));
    this.engines = new Map(hosts.map(({ name, engine }) => [name, engine]));
    this.apiProxy = apiProxy;
    this.#ports = ports;
    this.#plane = processOf(options, "control-plane");
  }

  /** Makes everything and starts the control plane. Agents are started by `enrol`. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const ports: Ports = { agents: undefined, api: undefined };
    const names = Array.from({ length: options.agents }, (_, index) => `host-${index + 1}`);
    const hosts = await Promise.all(names.map((name) => hostOf(name, options, ports)));
    const fleet = new Fleet(options, hosts, await FaultProxy.start(() => ports.api), ports);
    fleet.#keep(fleet.#runControlPlane());
    try {
      await inTime(fleet.#listening.promise, "the control plane does not come up", options.folder);
    } catch (error) {
      await fleet.close();
      throw error;
    }
    return fleet;
  }

  /** The names of its hosts. */
  get names(): string[] {
    return [...this.#hosts.keys()];
  }

  /** What the control plane wrote for its admin, once it was up. */
  get keyFile(): string {
    return join(this.#options.folder, planeFolder, "admin.key");
  }

  /** The control plane's own API port, past the proxy. Undefined while it is down. */
  get apiPort(): number | undefined {
    return this.#ports.api;
  }

  /** Starts the agents, each with a token, and waits until all are online. */
  async enrol(createToken: () => Promise<string>): Promise<void> {
    await Promise.all(
      [...this.#hosts.values()].map(async (host) => {
        host.token = await createToken();
        const online = Promise.withResolvers<void>();
        this.#keep(this.#runAgent(host, online.resolve));
        await inTime(online.promise, `the agent of ${host.name} does not come online`, this.#options.folder);
      }),
    );
  }

  /** Does something bad. Resolves when it is over, which may be after the next one has begun. */
  async inflict({ kind, host: name, direction, ms }: Fault): Promise<void> {
    const host = this.#hosts.get(name);
    const proxy = host?.proxy ?? this.apiProxy;
    const { signal } = this.#faults;
    const deeds: Readonly<Record<FaultKind, () => Promise<void> | void>> = {
      "kill-agent": () => this.#killAgent(host, false, ms),
      "kill-agent-and-journal": () => this.#killWithJournal(host, ms),
      "isolate-and-kill-agent": () => this.#isolateAndKill(host),
      // On a slow machine it would never come up, were it killed again and again before that.
      "kill-control-plane": () => (this.apiPort === undefined ? undefined : this.#kill(this.#plane, ms)),
      "freeze-agent": () => this.#freezeAgent(host, ms),
      "replace-agent": () => this.#replaceAgent(host, ms),
      "double-agent": () => this.#doubleAgent(host),
      "freeze-control-plane": () => this.#freeze(this.#plane, ms),
      cut: () => proxy.cut(),
      reset: () => proxy.reset(),
      stall: () => proxy.stall(direction, ms, signal),
      "half-open": () => proxy.swallow(direction, ms, signal),
      refuse: () => proxy.refuse(ms, signal),
      "stop-engine": () => host?.engine.down(ms, signal),
    };
    await deeds[kind]();
  }

  /** Ends all faults that are under way. What was killed comes back by itself. */
  calm(): void {
    this.#faults.abort();
    for (const { engine } of this.#hosts.values()) engine.calm();
  }

  /** Kills everything. */
  async close(): Promise<void> {
    this.calm();
    this.#closing.abort();
    const victims = [this.#plane, ...[...this.#hosts.values()].map(({ agent }) => agent)];
    await Promise.all([
      ...victims.map((one) => one.kill()),
      ...[...this.#others].map((other) => other.end()),
    ]);
    await Promise.all(this.#running);
    await this.apiProxy.close();
    await Promise.all(
      [...this.#hosts.values()].map(async ({ engine, proxy }) => {
        await proxy.close();
        await engine.close();
      }),
    );
  }

  #keep(running: Promise<void>): void {
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }

  async #runControlPlane(): Promise<void> {
    const settings: ControlPlaneSettings = { dataDir: join(this.#options.folder, planeFolder) };
    await this.#runAgainAndAgain(this.#plane, () => {
      const { ended } = this.#plane.start(settings, (message) => {
        const { agentsPort, apiPort } = message as ControlPlaneReady;
        this.#ports.agents = agentsPort;
        this.#ports.api = apiPort;
        this.#listening.resolve();
      });
      return ended.then(() => {
        this.#ports.agents = undefined;
        this.#ports.api = undefined;
      });
    });
  }

  async #runAgent(host: Host, onOnline: () => void): Promise<void> {
    const { name, agent, proxy, dataDir } = host;
    const { recorder } = this.#options;
    await this.#runAgainAndAgain(agent, () => {
      const settings = this.#settingsFor(host, proxy.port, dataDir);
      const { incarnation } = settings;
      host.isUp = false;
      return agent.start(settings, (news) => {
        if ((news as AgentNews).kind !== "online") return;
        host.isUp = true;
        recorder.takeovers.push({ host: name, incarnation, atMs: Date.now() });
        onOnline();
      }).ended;
    });
  }

  /** For another process of a host's agent. */
  #settingsFor(host: Host, port: number, dataDir: string): AgentSettings {
    const { concurrentCommands } = this.#options;
    const { name, engine, token } = host;
    host.incarnation += 1;
    return {
      server: `127.0.0.1:${port}`,
      token,
      dataDir,
      name,
      enginePath: engine.path,
      incarnation: host.incarnation,
      haste: 0.02,
      ...(concurrentCommands === undefined ? {} : { concurrentCommands }),
    };
  }

  async #runAgainAndAgain(one: Victim, run: () => Promise<void>): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await run();
      const awayMs = this.#awayMs.get(one) ?? 50;
      await delay(awayMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
    }
  }

  async #killAgent(host: Host | undefined, withJournal: boolean, ms: number): Promise<void> {
    const { recorder } = this.#options;
    if (host?.agent.alive !== true || host.isHeld) return;
    recorder.incident(host.name, "agent-killed");
    host.isUp = false;
    // Long enough away to lose its files before it is back.
    await this.#kill(host.agent, withJournal ? ms + 200 : ms);
    if (!withJournal) return;
    recorder.incident(host.name, "journal-lost");
    await Promise.all(journalFiles.map((file) => rm(join(host.dataDir, file), { force: true })));
  }

  async #kill(one: Victim, awayMs: number): Promise<void> {
    this.#awayMs.set(one, awayMs);
    await one.kill();
  }

  /** The agent dies in the middle of something, and nothing that it knew is left. */
  async #killWithJournal(host: Host | undefined, ms: number): Promise<void> {
    await this.#acts(host, () => true);
    await this.#killAgent(host, true, ms);
  }

  /** What the agent does in its last moments nobody hears of, not even that it was told to. */
  async #isolateAndKill(host: Host | undefined): Promise<void> {
    const { asks } = this.#options.recorder;
    const earlier = asks.length;
    const over = new AbortController();
    const isolated = host?.proxy.swallow("up", 60_000, over.signal);
    await this.#acts(host, (container) => asks.slice(earlier).some((ask) => ask.container === container));
    await this.#killAgent(host, false, 0);
    over.abort();
    await isolated;
  }

  /** Waits until the agent has asked its engine for such a change, in vain where nobody wants one of it. */
  async #acts(host: Host | undefined, isWanted: (container: string) => boolean): Promise<void> {
    if (host?.isUp !== true) return;
    const inVain = AbortSignal.timeout(actsWithinMs);
    await host.engine.asked(isWanted, AbortSignal.any([inVain, this.#faults.signal]));
  }

  async #freezeAgent(host: Host | undefined, ms: number): Promise<void> {
    if (host === undefined || host.isHeld) return;
    host.isHeld = true;
    this.#options.recorder.incident(host.name, "agent-frozen");
    await this.#freeze(host.agent, ms);
    host.isHeld = false;
  }

  /**
   * An agent hangs, and another process on a copy of its folder, with a journal of its own, takes over. Then the first one wakes, cut off from
   * a session of its own, and has a while to do what it should not.
   */
  async #replaceAgent(host: Host | undefined, ms: number): Promise<void> {
    await this.#whileHung(host, async ({ agent, dataDir, name, incarnation, proxy }, other, settings) => {
      const over = new AbortController();
      const refused = proxy.refuse(60_000, over.signal);
      const { signal } = this.#faults;
      try {
        const asleep = delay(longerThanLeaseMs, undefined, { signal }).catch(() => undefined);
        const copy = join(this.#options.folder, `${name}-copy-${incarnation}`);
        await Promise.all([asleep, other.takeOver(settings(copy), dataDir)]);
        if (signal.aborted) return;
        agent.thaw();
        await delay(ms + awakeMs, undefined, { signal }).catch(() => undefined);
      } finally {
        // The copy's journal goes with it.
        this.#options.recorder.incident(name, "journal-lost");
        await Promise.all([other.end(), this.#kill(agent, 0)]);
        over.abort();
        await refused;
      }
    });
  }

  /** An agent hangs, and another process is started on its folder, as a supervisor may that takes it for dead. */
  async #doubleAgent(host: Host | undefined): Promise<void> {
    await this.#whileHung(host, async ({ agent, dataDir }, other, settings) => {
      await other.intrude(settings(dataDir));
      agent.thaw();
    });
  }

  async #whileHung(
    host: Host | undefined,
    deed: (host: Host, other: Replacement, settings: (dataDir: string) => AgentSettings) => Promise<void>,
  ): Promise<void> {
    const port = this.#ports.agents;
    if (host?.isUp !== true || !host.agent.alive || host.isHeld || port === undefined) return;
    host.isHeld = true;
    this.#options.recorder.incident(host.name, "agent-frozen");
    host.agent.freeze();
    const other = new Replacement(host.name, this.#options);
    this.#others.add(other);
    try {
      await deed(host, other, (dataDir) => this.#settingsFor(host, port, dataDir));
    } finally {
      await other.end();
      this.#others.delete(other);
      host.isHeld = false;
    }
  }

  async #freeze(one: Victim, ms: number): Promise<void> {
    one.freeze();
    await delay(ms, undefined, { signal: this.#faults.signal }).catch(() => undefined);
    one.thaw();
  }
}

const startMs = 60_000;
/** Than the leases of control-plane-process.ts. */
const longerThanLeaseMs = 1_800;
/** As long as the lease: after that nobody tells it anything any more. */
const actsWithinMs = 1_500;
/** So long a process that wakes has at least, to show what it does. */
const awakeMs = 1_500;

async function inTime(started: Promise<void>, what: string, folder: string): Promise<void> {
  const over = new AbortController();
  const late = delay(startMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(`${what} within ${startMs} ms; its log is in ${folder}`);
  });
  late.catch(() => undefined);
  try {
    await Promise.race([started, late]);
  } finally {
    over.abort();
  }
}

interface Ports {
  agents: number | undefined;
  api: number | undefined;
}

async function hostOf(name: string, options: FleetOptions, ports: Ports): Promise<Host> {
  const { folder, manners, random } = options;
  const path = join(folder, `${name}.sock`);
  const engine = new EngineHost({ host: name, path, random: random.fork(`engine of ${name}`), manners });
  await engine.listen();
  return {
    name,
    engine,
    agent: processOf(options, "agent", name),
    proxy: await FaultProxy.start(() => ports.agents),
    dataDir: join(folder, name),
    incarnation: 0,
    token: "",
    isUp: false,
    isHeld: false,
  };
}
