import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { sharedCompileCache } from "../support/compile-cache.ts";

const program = new URL("../../src/bin/fairlead.ts", import.meta.url).pathname;
const running = new Set<ChildProcess>();

/** A command line that runs as a process of its own. */
export interface RunningProgram {
  readonly child: ChildProcess;
  /** What it has written so far. */
  readonly written: { stdout: string; stderr: string };
  /** Waits until standard output, or standard error, matches. Fails when the process ends before, or after 20 s. */
  until(pattern: RegExp, stream?: "stdout" | "stderr"): Promise<RegExpExecArray>;
  /** Waits for its end. Resolves with its exit code, or the name of the signal that killed it. */
  ended(): Promise<number | string>;
}

/** Starts the program with nothing in its environment that it knows but what is given. `killPrograms` ends what is left. */
export function startProgram(args: readonly string[], env: Record<string, string> = {}): RunningProgram {
  const { PATH = "" } = process.env;
  const child = spawn(process.execPath, [program, ...args], { env: { PATH, ...sharedCompileCache, ...env } });
  running.add(child);
  const written = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => (written[stream] += text));
  }
  const end = once(child, "close").then(([code, signal]) => {
    running.delete(child);
    return (code ?? signal) as number | string;
  });
  return {
    child,
    written,
    ended: async () => await end,
    async until(pattern, stream = "stdout") {
      for (let waitedMs = 0; ; waitedMs += 20) {
        const match = pattern.exec(written[stream]);
        if (match !== null) {
          return match;
        }
        const alive = child.exitCode === null && child.signalCode === null;
        assert.ok(alive && waitedMs < 20_000, `${pattern} did not come:\n${written.stdout}${written.stderr}`);
        await delay(20);
      }
    },
  };
}

/** Runs the program to its end. */
export async function runProgram(args: readonly string[], env: Record<string, string> = {}) {
  const { written, ended } = startProgram(args, env);
  const code = await ended();
  return { code, ...written };
}

/** Kills what a test left running. */
export async function killPrograms(): Promise<void> {
  await Promise.all(
    [...running].map(async (child) => {
      child.kill("SIGKILL");
      await once(child, "close");
    }),
  );
}
