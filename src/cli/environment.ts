import type { Clock } from "../resilience/clock.ts";
import { systemClock } from "../resilience/clock.ts";

/** Where text goes, and bytes. `write` may be called after the reader has gone; then nothing happens. */
export interface TextOutput {
  /** False: the reader is behind, wait for `drain`. */
  write(text: string | Uint8Array): unknown;
  once?(event: "drain", listener: () => void): unknown;
  off?(event: "drain", listener: () => void): unknown;
}

/** All that a command line sees of its surroundings. Only `src/bin` makes one of a real process. */
export interface Environment {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  /** Standard output is a terminal. */
  readonly isTTY: boolean;
  /** Standard error is a terminal. */
  readonly isErrorTTY: boolean;
  /** Width of the terminal. */
  readonly columns: number | undefined;
  /** Its height. Undefined: it is none. */
  readonly rows?: number | undefined;
  /** Aborts when the person wants an end. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** An environment whose clock is the machine's. */
export function createEnvironment(parts: Omit<Environment, "clock">): Environment {
  return { ...parts, clock: systemClock };
}

/** Whether to use colours on a stream: on a terminal, unless NO_COLOR is set to anything. */
export function wantsColours(environment: Environment, isTerminal = environment.isTTY): boolean {
  const { NO_COLOR: noColour = "", TERM: terminal } = environment.env;
  return isTerminal && noColour === "" && terminal !== "dumb";
}
