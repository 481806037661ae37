import type { EngineProcess, ExecSpec } from "../../src/agent/engine/engine-streams.ts";
import { neverAborted } from "../../src/resilience/signals.ts";
import type { EngineKit } from "./engine-kit.ts";

/** What is left open is as the container has it. */
export function execSpec(command: readonly string[], more: Partial<ExecSpec> = {}): ExecSpec {
  return {
    command,
    environment: {},
    workingDirectory: "",
    user: "",
    tty: false,
    stdin: false,
    privileged: false,
    ...more,
  };
}

/** Starts a process in a container. */
export async function exec(
  kit: EngineKit,
  container: string,
  command: readonly string[],
  more: Partial<ExecSpec> = {},
): Promise<EngineProcess> {
  return kit.engine.exec(container, execSpec(command, more), neverAborted);
}

/** What a process told until its end. */
export interface Told {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Reads a process to its end. */
export async function toEnd(process: EngineProcess): Promise<Told> {
  const told = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const { stream, data } of process.output) {
    told[stream].push(Buffer.from(data));
  }
  const exitCode = await process.exitCode(neverAborted);
  await process.kill();
  return { stdout: textOf(told.stdout), stderr: textOf(told.stderr), exitCode };
}

/** Reads on until what was told so far has these words. */
export class OutputReader {
  text = "";
  readonly #pieces: AsyncIterator<{ readonly data: Uint8Array }>;

  constructor(process: EngineProcess) {
    this.#pieces = process.output[Symbol.asyncIterator]();
  }

  /** Fails when the output ends before. */
  async until(words: string | RegExp): Promise<void> {
    while (typeof words === "string" ? !this.text.includes(words) : !words.test(this.text)) {
      await this.#next(words);
    }
  }

  /** Reads to the end. */
  async end(): Promise<string> {
    for (let next = await this.#pieces.next(); next.done !== true; next = await this.#pieces.next()) {
      this.text += Buffer.from(next.value.data).toString();
    }
    return this.text;
  }

  async #next(words: string | RegExp): Promise<void> {
    const next = await this.#pieces.next();
    if (next.done === true) {
      throw new Error(`the output ended without "${words}": ${JSON.stringify(this.text)}`);
    }
    this.text += Buffer.from(next.value.data).toString();
  }
}

function textOf(pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces).toString("latin1");
}
