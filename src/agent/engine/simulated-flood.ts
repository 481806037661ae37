import type { LogRecord } from "./engine-streams.ts";
import { parseScript } from "./simulated-script.ts";
import type { SimulatedLogSource } from "./simulated-log.ts";

/** The label that makes a simulated container write so many bytes each second for as long as it runs. */
export const floodLabel = "dev.fairlead.simulated.log-bytes-per-second";
/** The label with the length of its lines, newline included. Default: 128. */
export const floodLineLabel = "dev.fairlead.simulated.log-line-bytes";

/** How a flood is. */
export interface SimulatedFloodRate {
  readonly bytesPerSecond: number;
  /** What is written again and again, with its newline. */
  readonly line: Buffer;
  /** Whether the first twelve characters are replaced by the number of the line, so that a gap or a repeat can be seen. */
  readonly numbered: boolean;
}

const numberBytes = 12;
const defaultLineBytes = 128;
const leastLineBytes = 16;
const mostLineBytes = 16 * 1024;
/** About what `yes` brings into a log of Docker. */
const yesBytesPerSecond = 20e6;

/** What labels or the command `yes` ask for. Undefined: no flood. */
export function floodOf(
  labels: Readonly<Record<string, string>>,
  command: readonly string[],
): SimulatedFloodRate | undefined {
  const bytesPerSecond = Number(labels[floodLabel]);
  if (bytesPerSecond > 0) {
    const wanted = Math.floor(Number(labels[floodLineLabel]) || defaultLineBytes);
    const line = Buffer.alloc(Math.min(mostLineBytes, Math.max(leastLineBytes, wanted)));
    line.fill(" fairlead", numberBytes);
    line[line.length - 1] = 0x0a;
    return { bytesPerSecond, line, numbered: true };
  }
  const words = wordsOf(command);
  return words[0] === "yes"
    ? {
        bytesPerSecond: yesBytesPerSecond,
        line: Buffer.from(`${words.slice(1).join(" ") || "y"}\n`),
        numbered: false,
      }
    : undefined;
}

/** Those of the one command that it is, also inside of `sh -c`. */
function wordsOf(command: readonly string[]): readonly string[] {
  const [name = "", option, script = ""] = command;
  const commands = name === "sh" && option === "-c" ? parseScript(script) : undefined;
  return commands?.length === 1 ? (commands[0]?.words ?? []) : command;
}

/**
 * A log that grows with time and is nowhere: each record is made when it is read. A flood costs nothing while nobody looks,
 * and a slow reader misses none of it.
 */
export class SimulatedFlood implements SimulatedLogSource {
  readonly #rate: SimulatedFloodRate;
  readonly #startNs: bigint;
  readonly #nowNs: () => bigint;
  #endNs: bigint | undefined;

  constructor(rate: SimulatedFloodRate, nowNs: () => bigint) {
    this.#rate = rate;
    this.#nowNs = nowNs;
    this.#startNs = nowNs();
  }

  /** The process has ended: nothing is added any more. */
  flush(): void {
    this.#endNs ??= this.#nowNs();
  }

  first(): number {
    return 0;
  }

  end(): number {
    const seconds = Number((this.#endNs ?? this.#nowNs()) - this.#startNs) / 1e9;
    return Math.floor((seconds * this.#rate.bytesPerSecond) / this.#rate.line.length);
  }

  at(index: number): LogRecord {
    const { line, numbered, bytesPerSecond } = this.#rate;
    const data = Buffer.from(line);
    if (numbered) {
      data.write(`${index}`.padStart(numberBytes, "0"), "latin1");
    }
    const after = ((index + 1) * line.length * 1e9) / bytesPerSecond;
    return { stream: "stdout", timeNs: this.#startNs + BigInt(Math.floor(after)), data };
  }
}
