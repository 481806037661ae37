import type { Clock } from "../../resilience/clock.ts";
import { untilAborted } from "../../resilience/signals.ts";
import type { OutputStream } from "./engine-streams.ts";
import type { SimulatedFiles } from "./simulated-files.ts";
import { SimulatedPipe } from "./simulated-pipe.ts";
import type { SimulatedProgram } from "./simulated-program.ts";
import type { SimulatedWork } from "./simulated-run.ts";
import { shownOnTerminal, SimulatedTerminal } from "./simulated-terminal.ts";

/** Control-D. */
const endOfTransmission = Uint8Array.of(4);

/** How the inputs and outputs of a simulated process are connected. */
export interface SimulatedSessionOptions {
  readonly clock: Clock;
  readonly tty: boolean;
  /** Whether input can come. Without, its end is there from the beginning. */
  readonly stdin: boolean;
  readonly environment: Readonly<Record<string, string>>;
  readonly files: SimulatedFiles;
  /** Where output goes. Resolves when there is room for more. */
  readonly output: (stream: OutputStream, data: Uint8Array) => Promise<void>;
  /** What Control-C does. */
  readonly signal: (signalNumber: number) => void;
}

/** The inputs and outputs of one simulated process, with a terminal between or not. */
export class SimulatedSession {
  readonly #options: SimulatedSessionOptions;
  readonly #input = new SimulatedPipe<Uint8Array>();
  readonly #terminal: SimulatedTerminal | undefined;
  #size = { columns: 0, rows: 0 };

  constructor(options: SimulatedSessionOptions) {
    this.#options = options;
    this.#terminal = options.tty ? new SimulatedTerminal() : undefined;
    if (!options.stdin) {
      this.#input.end();
    }
  }

  resize(columns: number, rows: number): void {
    this.#size = { columns, rows };
  }

  /** Resolves when there is room for more. */
  async write(data: Uint8Array): Promise<void> {
    if (this.#terminal === undefined) {
      return this.#input.write(data);
    }
    const { echo, lines, end, signal } = this.#terminal.type(data);
    await this.#options.output("stdout", echo);
    await this.#input.write(lines);
    if (end) {
      this.#input.end();
    }
    if (signal !== undefined) {
      this.#options.signal(signal);
    }
  }

  /** The end of input; behind a terminal it is Control-D. */
  async closeInput(): Promise<void> {
    if (this.#terminal === undefined) {
      this.#input.end();
    } else {
      await this.write(endOfTransmission);
    }
  }

  /** Nobody reads any more. */
  end(): void {
    this.#input.destroy();
  }

  /** The program at work with these inputs and outputs. */
  workOf(program: SimulatedProgram): SimulatedWork {
    const { clock, environment, files, output } = this.#options;
    const hasTerminal = this.#terminal !== undefined;
    const size = () => (hasTerminal ? this.#size : undefined);
    const input = this.#input;
    return ({ signal, thawed }) =>
      program({
        environment,
        files,
        get size() {
          return size();
        },
        async write(stream, data) {
          await thawed();
          await untilAborted(
            hasTerminal ? output("stdout", shownOnTerminal(data)) : output(stream, data),
            signal,
          );
        },
        async read() {
          await thawed();
          return untilAborted(input.read(), signal);
        },
        sleep: (milliseconds) => clock.sleep(milliseconds, signal),
      });
  }
}
