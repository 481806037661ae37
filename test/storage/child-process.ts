import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { sharedCompileCache } from "../support/compile-cache.ts";

/** A program of `processes/`, with its lines. */
export interface Child {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  /** The next line that it prints; undefined when it has ended. */
  line(): Promise<string | undefined>;
  /** How it ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

const running = new Set<ChildProcessByStdio<Writable, Readable, null>>();

/** Kills what a failed test left running, so that nothing outlives its test. */
export function killChildren(): void {
  for (const child of running) {
    child.kill("SIGKILL");
  }
}

/** Starts a program of `processes/`, under a command (such as a shell that limits it) where one is given. */
export function startChild(program: string, args: readonly string[], under: readonly string[] = []): Child {
  const path = fileURLToPath(new URL(`processes/${program}`, import.meta.url));
  const [command = process.execPath, ...rest] = [...under, process.execPath, path, ...args];
  const env = { ...process.env, ...sharedCompileCache };
  const child = spawn(command, rest, { env, stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.on("error", () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  running.add(child);
  child.once("exit", () => running.delete(child));
  const ended = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  return { process: child, line: async () => (await lines.next()).value, ended };
}
