import { constants } from "node:os";
import type { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { untilAborted } from "../../resilience/signals.ts";
import type { EngineProcess, ExecSpec, OutputPiece } from "./engine-streams.ts";
import { parseSignal } from "./linux-signals.ts";
import { piecesOf, type SimulatedPiece } from "./simulated-console.ts";
import type { SimulatedFiles } from "./simulated-files.ts";
import { SimulatedPipe } from "./simulated-pipe.ts";
import { isTool, processOfCommand } from "./simulated-process.ts";
import { programOfCommand } from "./simulated-program.ts";
import { SimulatedRun } from "./simulated-run.ts";
import { SimulatedSession } from "./simulated-session.ts";
import type { SimulatedSurroundingsOfTool } from "./simulated-tools.ts";

/** What Docker ends an exec with whose command is not there. */
const notFoundExitCode = 126;

/** A process that was started in a simulated container. */
export class SimulatedExec implements EngineProcess {
  readonly command: readonly string[];
  readonly output: AsyncIterable<OutputPiece>;
  readonly #pipe = new SimulatedPipe<SimulatedPiece>();
  readonly #session: SimulatedSession;
  readonly #run: SimulatedRun;
  readonly #onRelease: () => void;
  readonly #code = Promise.withResolvers<number>();
  #error: FleetError | undefined;

  /** `onRelease` is called when it is let go of, maybe more than once; `onEnd` when the process has ended. */
  constructor(options: {
    readonly clock: Clock;
    readonly spec: ExecSpec;
    /** The container's. */
    readonly environment: Readonly<Record<string, string>>;
    readonly files: SimulatedFiles;
    readonly onRelease: () => void;
    readonly onEnd: () => void;
  }) {
    const { clock, spec, environment, files } = options;
    this.command = spec.command;
    this.#onRelease = options.onRelease;
    // Nobody may ask for it.
    this.#code.promise.catch(() => {});
    this.#session = new SimulatedSession({
      clock,
      tty: spec.tty,
      stdin: spec.stdin,
      files,
      environment: { ...environment, ...spec.environment },
      output: (stream, data) =>
        this.#pipe.write({ stream, data: Uint8Array.from(data), length: data.length }),
      signal: (signalNumber) => this.#run.signal(signalNumber),
    });
    this.#session.resize(spec.columns ?? 0, spec.rows ?? 0);
    this.output = piecesOf(this.#pipe, () => this.#error);
    const program =
      programOfCommand(spec.command) ?? (isTool(spec.command[0] ?? "") ? undefined : notFound(spec.command));
    this.#run = new SimulatedRun(
      // It is not the first process, so signals do what they do.
      processOfCommand(spec.command, { init: true, stdinOpen: spec.stdin }),
      clock,
      (exitCode) => {
        this.#ended(exitCode);
        options.onEnd();
      },
      program && this.#session.workOf(program),
    );
  }

  write(data: Uint8Array): Promise<void> {
    return this.#session.write(data);
  }

  closeInput(): Promise<void> {
    return this.#session.closeInput();
  }

  async resize(columns: number, rows: number): Promise<void> {
    this.#session.resize(columns, rows);
  }

  exitCode(signal: AbortSignal): Promise<number> {
    return untilAborted(this.#code.promise, signal);
  }

  async kill(): Promise<void> {
    this.#pipe.destroy();
    this.#run.signal(constants.signals.SIGKILL);
    this.#onRelease();
  }

  async signal(name: string): Promise<void> {
    this.#run.signal(parseSignal(name));
  }

  /** Its container has ended, and takes all processes with it. */
  endWithContainer(): void {
    this.#run.signal(constants.signals.SIGKILL);
  }

  /** With its container. */
  freeze(): void {
    this.#run.freeze();
  }

  /** With its container. */
  thaw(): void {
    this.#run.thaw();
  }

  /** The engine goes away: it runs on, and nobody hears of it. */
  cut(error: FleetError): void {
    this.#error = error;
    this.#pipe.destroy();
    this.#code.reject(error);
    this.#onRelease();
  }

  /** Ends without a word, with the engine. */
  abandon(): void {
    this.#run.abandon();
    this.#session.end();
  }

  #ended(exitCode: number): void {
    this.#session.end();
    this.#pipe.end();
    this.#code.resolve(exitCode);
  }
}

function notFound([name = ""]: readonly string[]) {
  return async (io: SimulatedSurroundingsOfTool): Promise<number> => {
    const words = `OCI runtime exec failed: exec failed: unable to start container process: exec: "${name}": executable file not found in $PATH: unknown\r\n`;
    await io.write("stdout", Buffer.from(words));
    return notFoundExitCode;
  };
}
