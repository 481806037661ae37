import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { OutputPiece, OutputStream } from "./engine-streams.ts";
import type { SimulatedFiles } from "./simulated-files.ts";
import { floodOf, SimulatedFlood } from "./simulated-flood.ts";
import { SimulatedLog, type SimulatedLogSource } from "./simulated-log.ts";
import { SimulatedPipe } from "./simulated-pipe.ts";
import { programOfCommand } from "./simulated-program.ts";
import type { SimulatedWork } from "./simulated-run.ts";
import { SimulatedSession } from "./simulated-session.ts";

/** One that is attached to a container. */
export interface SimulatedAttachment {
  readonly output: SimulatedPipe<SimulatedPiece>;
  /** Why its output was cut off. */
  error: FleetError | undefined;
  /** The run has ended, or it was let go of. */
  over: boolean;
  /** The exit code of the run that ends next. Rejects when there will be none. */
  readonly ended: PromiseWithResolvers<number>;
}

/** A piece of output as it waits in a pipe. */
export interface SimulatedPiece extends OutputPiece {
  readonly length: number;
}

/** What must be known of the container. */
export interface SimulatedConsoleOptions {
  readonly clock: Clock;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  readonly files: SimulatedFiles;
  readonly tty: boolean;
  readonly stdinOpen: boolean;
  readonly signal: (signalNumber: number) => void;
}

/** The inputs and outputs of a simulated container's main process: its log, and those who are attached to it. */
export class SimulatedConsole {
  readonly #options: SimulatedConsoleOptions;
  readonly #attachments = new Set<SimulatedAttachment>();
  #log: SimulatedLogSource | undefined;
  #session: SimulatedSession | undefined;

  constructor(options: SimulatedConsoleOptions) {
    this.#options = options;
  }

  /** What it has written, in all of its runs; a flood forgets the runs before. */
  get log(): SimulatedLogSource {
    return (this.#log ??= new SimulatedLog(this.#nowNs));
  }

  /** The session of the run that is, or of the one that comes. */
  get session(): SimulatedSession {
    const { clock, environment, files, tty, stdinOpen, signal } = this.#options;
    return (this.#session ??= new SimulatedSession({
      clock,
      environment,
      files,
      tty,
      stdin: stdinOpen,
      signal,
      output: (stream, data) => this.#write(stream, data),
    }));
  }

  /** A run begins. What it does with its inputs and outputs; undefined when nothing is known of its command. */
  begin(): SimulatedWork | undefined {
    const { labels, command } = this.#options;
    const flood = floodOf(labels, command);
    if (flood !== undefined) {
      this.#log = new SimulatedFlood(flood, this.#nowNs);
      return undefined;
    }
    const program = programOfCommand(command);
    return program && this.session.workOf(program);
  }

  /** A run has ended. */
  end(exitCode: number): void {
    this.#log?.flush();
    this.#session?.end();
    this.#session = undefined;
    for (const attachment of this.#takeAttachments()) {
      attachment.output.end();
      attachment.ended.resolve(exitCode);
    }
  }

  /** The container is gone, or the engine: there is no exit code any more. */
  cut(error: FleetError): void {
    for (const attachment of this.#takeAttachments()) {
      attachment.error = error;
      attachment.output.destroy();
      attachment.ended.reject(error);
    }
  }

  attach(): SimulatedAttachment {
    const attachment: SimulatedAttachment = {
      output: new SimulatedPipe<SimulatedPiece>(),
      error: undefined,
      over: false,
      ended: Promise.withResolvers<number>(),
    };
    // Whoever attached may never ask.
    attachment.ended.promise.catch(() => {});
    this.#attachments.add(attachment);
    return attachment;
  }

  /** Nothing happens when it is not attached any more. */
  detach(attachment: SimulatedAttachment): void {
    if (this.#attachments.delete(attachment)) {
      attachment.over = true;
      attachment.output.destroy();
      attachment.ended.reject(new FleetError("CANCELLED", "it was let go of before its end"));
    }
  }

  readonly #nowNs = (): bigint => BigInt(Math.round(this.#options.clock.now() * 1e6));

  async #write(stream: OutputStream, data: Uint8Array): Promise<void> {
    const { log } = this;
    if (log instanceof SimulatedLog) {
      log.write(stream, data);
    }
    const piece = { stream, data: Uint8Array.from(data), length: data.length };
    await Promise.all([...this.#attachments].map(({ output }) => output.write(piece)));
  }

  #takeAttachments(): SimulatedAttachment[] {
    const all = [...this.#attachments];
    this.#attachments.clear();
    for (const attachment of all) {
      attachment.over = true;
    }
    return all;
  }
}

/** What comes out of a pipe, to its end; throws the error that there is then. */
export async function* piecesOf(
  pipe: SimulatedPipe<SimulatedPiece>,
  error: () => FleetError | undefined,
): AsyncGenerator<OutputPiece> {
  for (let piece = await pipe.read(); piece !== undefined; piece = await pipe.read()) {
    yield { stream: piece.stream, data: piece.data };
  }
  const failure = error();
  if (failure !== undefined) {
    throw failure;
  }
}
