import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { SessionSettings } from "../../src/control-plane/session/session-settings.ts";
import type { Census } from "./census.ts";

/** What the process of a counted control plane is started with, as JSON. */
export interface CountedSettings {
  readonly dataDir: string;
  readonly session: Partial<SessionSettings>;
}

/** What is open in it. */
export interface OpenFigures {
  readonly sessions: number;
  /** Data streams that are open or being opened, and tickets for them that can still be used. */
  readonly dataStreams: number;
  readonly sockets: number;
  /** Those that keep the process alive. */
  readonly timers: number;
  /** What Node warned of, listeners that are too many among it. */
  readonly warnings: readonly string[];
}

/** What its process is asked. */
export type CountedQuestion = "figures" | "census";

/** What its process tells. */
export type CountedNews =
  | { readonly kind: "listening"; readonly value: number }
  | { readonly kind: "figures"; readonly value: OpenFigures }
  | { readonly kind: "census"; readonly value: Census };

/** A control plane in a process of its own, so that nothing but it is counted. Its end (`await using`) kills it. */
export class CountedControlPlane implements AsyncDisposable {
  readonly agentsPort: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, agentsPort: number) {
    this.#child = child;
    this.agentsPort = agentsPort;
  }

  /** Rejects when it ends before it listens; what it said of that is on standard error. */
  static async start(settings: CountedSettings): Promise<CountedControlPlane> {
    const script = join(import.meta.dirname, "counted-control-plane-process.ts");
    const child = fork(script, [JSON.stringify(settings)], { execArgv: ["--expose-gc", "--no-warnings"] });
    return new CountedControlPlane(child, await nextNews(child, "listening"));
  }

  /** What is open in it now. Asks one thing at a time. */
  figures(): Promise<OpenFigures> {
    return this.#ask("figures");
  }

  /** What is alive in it now. */
  census(): Promise<Census> {
    return this.#ask("census");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  async #ask<Kind extends CountedQuestion>(question: Kind): Promise<ValueOf<Kind>> {
    const answer = nextNews(this.#child, question);
    this.#child.send(question);
    return await answer;
  }
}

type ValueOf<Kind extends CountedNews["kind"]> = Extract<CountedNews, { kind: Kind }>["value"];

async function nextNews<Kind extends CountedNews["kind"]>(
  child: ChildProcess,
  kind: Kind,
): Promise<ValueOf<Kind>> {
  const { promise, resolve, reject } = Promise.withResolvers<CountedNews>();
  const onExit = (code: number | null, signal: string | null) =>
    reject(new Error(`the control plane ended with ${signal ?? `code ${code}`}`));
  child.once("message", resolve);
  child.once("exit", onExit);
  try {
    const news = await promise;
    if (news.kind !== kind) throw new Error(`expected ${kind}, got ${news.kind}`);
    return news.value as ValueOf<Kind>;
  } finally {
    child.off("message", resolve);
    child.off("exit", onExit);
  }
}
