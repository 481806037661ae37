import { cp, rm } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { AgentNews, AgentSettings } from "./agent-process.ts";
import type { Recorder } from "./recorder.ts";
import { processOf, type Victim } from "./victim.ts";

/** What a replacement is made of. */
export interface ReplacementOptions {
  readonly folder: string;
  readonly root: string;
  readonly recorder: Recorder;
}

/** So long a process may take to start, or to be turned away. */
const patienceMs = 20_000;
const notCopied = /^(journal|agent\.lock)/;

/** Other processes with the identity of one that hangs. */
export class Replacement {
  readonly #host: string;
  readonly #recorder: Recorder;
  readonly #intruder: Victim;
  readonly #copy: Victim;
  readonly #folders: string[] = [];
  readonly #over = new AbortController();

  constructor(host: string, options: ReplacementOptions) {
    this.#host = host;
    this.#recorder = options.recorder;
    this.#intruder = processOf(options, "agent", `${host}-intruder`);
    this.#copy = processOf(options, "agent", `${host}-copy`);
  }

  /** Starts a process on the folder of the one that hangs, and notes what becomes of it. */
  async intrude(settings: AgentSettings): Promise<void> {
    const { incarnation } = settings;
    const news = await this.#start(this.#intruder, settings);
    await this.#intruder.kill();
    if (news === undefined) return;
    const message = news.kind === "refused" ? news.message : "";
    this.#recorder.intrusions.push({ host: this.#host, incarnation, outcome: news.kind, message });
  }

  /** Starts a process on a copy of the folder, without its journal. Resolves when that has a session, or when there is no hope. */
  async takeOver(settings: AgentSettings, original: string): Promise<void> {
    const { dataDir, incarnation } = settings;
    this.#folders.push(dataDir);
    await cp(original, dataDir, { recursive: true, filter: (path) => !notCopied.test(basename(path)) });
    const news = await this.#start(this.#copy, settings);
    if (news?.kind === "online") {
      this.#recorder.takeovers.push({ host: this.#host, incarnation, atMs: Date.now() });
    }
  }

  /** Kills them. */
  async end(): Promise<void> {
    this.#over.abort();
    await Promise.all([this.#intruder.kill(), this.#copy.kill()]);
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }

  /** The first that it says. Undefined: it says nothing. */
  async #start(one: Victim, settings: AgentSettings): Promise<AgentNews | undefined> {
    const { promise, resolve } = Promise.withResolvers<AgentNews | undefined>();
    const { ended } = one.start(settings, (message) => resolve(message as AgentNews));
    const silence = delay(patienceMs, undefined, { signal: this.#over.signal }).catch(() => undefined);
    return await Promise.race([promise, ended.then(() => undefined), silence]);
  }
}
