import { constants } from "node:os";

const { SIGINT, SIGQUIT } = constants.signals;
const controlC = 0x03;
const controlD = 0x04;
const controlBackslash = 0x1c;
const backspace = 0x7f;
const newline = 0x0a;
const carriageReturn = 0x0d;
/** Linux keeps no longer line, either. */
const maxLineBytes = 4096;

/** What typed bytes bring about. */
export interface TypedInput {
  /** What the terminal shows of them. */
  readonly echo: Uint8Array;
  /** Lines for the process, with their newlines. */
  readonly lines: Uint8Array;
  /** Control-D at the beginning of a line: the end of input. */
  readonly end: boolean;
  readonly signal: number | undefined;
}

/** The line discipline of a simulated terminal, as Linux has it at first: lines, an echo, Control-C and Control-D. */
export class SimulatedTerminal {
  #line: number[] = [];

  /** Takes what was typed. */
  type(data: Uint8Array): TypedInput {
    const echo: number[] = [];
    const lines: number[] = [];
    let end = false;
    let signal: number | undefined;
    for (const byte of data) {
      if (byte === controlC || byte === controlBackslash) {
        echo.push(0x5e, byte + 0x40);
        signal = byte === controlC ? SIGINT : SIGQUIT;
        this.#line = [];
      } else if (byte === controlD) {
        end ||= this.#line.length === 0;
        lines.push(...this.#line.splice(0));
      } else if (byte === newline || byte === carriageReturn) {
        echo.push(carriageReturn, newline);
        lines.push(...this.#line.splice(0), newline);
      } else if (byte === backspace) {
        this.#erase(echo);
      } else if (this.#line.length < maxLineBytes) {
        echo.push(byte);
        this.#line.push(byte);
      }
    }
    return { echo: Uint8Array.from(echo), lines: Uint8Array.from(lines), end, signal };
  }

  #erase(echo: number[]): void {
    if (this.#line.pop() !== undefined) {
      echo.push(0x08, 0x20, 0x08);
    }
  }
}

/** What a terminal makes of a process's output. */
export function shownOnTerminal(data: Uint8Array): Uint8Array {
  return Buffer.from(Buffer.from(data).toString("latin1").replaceAll("\n", "\r\n"), "latin1");
}
