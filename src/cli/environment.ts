import type { Clock } from "../resilience/clock.ts";
import { systemClock } from "../resilience/clock.ts";

/** Where text goes, and bytes. `write` may be called after the reader has gone; then nothing happens. */
export interface TextOutput {
  /** False: the reader is behind, wait for `drain`. */
  write(text: string | Uint8Array): unknown;
  once?(event: "drain", listener: () => void): unknown;
  off?(event: "drain", listener: () => void): unknown;
}

/** Where bytes come from. */
export interface ByteInput {
  /** What comes, to its end or until the signal aborts; then nothing is read any more. To be called once. */
  read(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** A person's terminal. */
export interface Terminal {
  /** What is typed comes from it as well. */
  readonly isInput: boolean;
  /** How large it is. Either is 0 where it does not know, as a pseudo-terminal that nobody gave a size. */
  size(): { readonly columns: number; readonly rows: number };
  /** Whether keys come as they are pressed, Ctrl-C included. */
  setRaw(raw: boolean): void;
  /** Calls the listener when its size has changed, until the function that is returned is called. */
  onResize(listener: () => void): () => void;
}

/** All that a command line sees of its surroundings. Only `src/bin` makes one of a real process. */
export interface Environment {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  /** Undefined: nothing can be typed or piped in. */
  readonly stdin?: ByteInput;
  /** Undefined: standard output is none. */
  readonly terminal?: Terminal | undefined;
  /** Standard output is a terminal. */
  readonly isTTY: boolean;
  /** Standard error is a terminal. */
  readonly isErrorTTY: boolean;
  /** Width of the terminal. */
  readonly columns: number | undefined;
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
