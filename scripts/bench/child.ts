import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Answer, Question } from "./parent-link.ts";

/** How a child is started. */
export interface ChildOptions {
  readonly arguments?: readonly string[];
  /** Options of Node itself. */
  readonly nodeOptions?: readonly string[];
}

const endMs = 10_000;

/** A process of a measurement. Whoever starts it ends it with `close`; it also ends with this process. */
export class Child {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #open = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;

  /** Starts a module that lies beside this one. */
  constructor(module: string, options: ChildOptions = {}) {
    const path = fileURLToPath(new URL(module, import.meta.url));
    this.#name = module;
    this.#process = fork(path, options.arguments ?? [], {
      execArgv: [...(options.nodeOptions ?? [])],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#process.on("message", (answer: Answer) => this.#take(answer));
    this.#process.on("exit", (code, signal) => this.#gone(`it ended with ${signal ?? `code ${code}`}`));
    this.#process.on("error", (error) => this.#gone(error.message));
  }

  /** Asks and waits for the answer. Rejects when the child fails or ends. */
  async ask<Value>(method: string, parameters: unknown = {}): Promise<Value> {
    const question: Question = { id: (this.#lastId += 1), method, parameters };
    const answered = Promise.withResolvers<unknown>();
    this.#open.set(question.id, answered);
    if (this.#process.connected) this.#process.send(question);
    else this.#gone("it has ended");
    return (await answered.promise) as Value;
  }

  /** Ends the child, by force when it does not end by itself. */
  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, "exit");
    if (this.#process.connected) this.#process.disconnect();
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), endMs);
    try {
      await exited;
    } finally {
      clearTimeout(timer);
    }
  }

  #take({ id, value, error }: Answer): void {
    const answered = this.#open.get(id);
    this.#open.delete(id);
    if (error === undefined) answered?.resolve(value);
    else answered?.reject(new Error(`${this.#name}: ${error}`));
  }

  #gone(why: string): void {
    for (const { reject } of this.#open.values()) reject(new Error(`${this.#name}: ${why}`));
    this.#open.clear();
  }
}
