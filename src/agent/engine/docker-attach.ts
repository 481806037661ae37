import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import { untilAborted } from "../../resilience/signals.ts";
import { signalsAreForExecs } from "./attached-signals.ts";
import type { DockerConnection } from "./docker-connection.ts";
import { detachKeys } from "./detach-keys.ts";
import type { DockerInspection } from "./docker-json.ts";
import { type DockerTerminal, resizeTerminal } from "./docker-resize.ts";
import { DockerStream } from "./docker-stream.ts";
import type { AttachOptions, EngineProcess, OutputPiece } from "./engine-streams.ts";

/** What attaching needs of its engine. */
export interface DockerAttachDependencies {
  readonly connection: DockerConnection;
  readonly clock: Clock;
  /** The container. */
  readonly inspect: (signal: AbortSignal) => Promise<DockerInspection>;
}

/** Attaches to a container's main process, as `Engine.attach` promises. */
export async function attach(
  { connection, clock, inspect }: DockerAttachDependencies,
  options: AttachOptions,
  signal: AbortSignal,
): Promise<EngineProcess> {
  const inspection = await inspect(signal);
  const { Id: id } = inspection;
  // It is waited for from the beginning: the code of a container that removes itself can be asked for only until then.
  const wait = await openWait(connection, inspection, signal);
  try {
    const query = { stream: true, stdout: true, stderr: true, stdin: options.stdin, detachKeys };
    const socket = await connection.hijack(
      { method: "POST", path: `/containers/${id}/attach`, query },
      signal,
    );
    const stream = new DockerStream(socket, {
      tty: inspection.Config?.Tty ?? false,
      address: connection.address,
    });
    const terminal = {
      connection,
      clock,
      path: `/containers/${id}`,
      hasEnded: () => Promise.resolve(stream.over),
    };
    return new DockerAttachment(terminal, stream, wait);
  } catch (error) {
    wait.release();
    throw error;
  }
}

/** The engine's answer when the container ends. */
interface Wait {
  readonly exitCode: Promise<number>;
  release(): void;
}

async function openWait(
  connection: DockerConnection,
  { Id: id, State: state }: DockerInspection,
  signal: AbortSignal,
): Promise<Wait> {
  // It goes on after the start, which is all that the signal covers.
  const waiting = new AbortController();
  const onAbort = () => waiting.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    // One that has not been started yet counts as not running: its next end is meant.
    const condition = state?.Running ? "not-running" : "next-exit";
    const response = await connection.open(
      { method: "POST", path: `/containers/${id}/wait`, query: { condition } },
      waiting.signal,
    );
    const exitCode = readExitCode(response as AsyncIterable<Buffer>);
    // Nobody may ask for it.
    exitCode.catch(() => {});
    return { exitCode, release: () => waiting.abort(new Error("nobody is attached any more")) };
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function readExitCode(response: AsyncIterable<Buffer>): Promise<number> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) {
      chunks.push(chunk);
    }
    const answer = JSON.parse(Buffer.concat(chunks).toString("utf8")) as WaitAnswer;
    if (!answer.Error?.Message) {
      return answer.StatusCode ?? 0;
    }
    throw new FleetError("ENGINE_FAILED", answer.Error.Message);
  } catch (error) {
    throw error instanceof FleetError
      ? error
      : new FleetError("ENGINE_UNAVAILABLE", "the engine ended the wait for a container's end", {
          cause: error,
        });
  }
}

/** POST /containers/{id}/wait */
interface WaitAnswer {
  readonly StatusCode?: number;
  readonly Error?: { readonly Message?: string } | null;
}

class DockerAttachment implements EngineProcess {
  readonly output: AsyncIterable<OutputPiece>;
  readonly #terminal: DockerTerminal;
  readonly #stream: DockerStream;
  readonly #wait: Wait;

  constructor(terminal: DockerTerminal, stream: DockerStream, wait: Wait) {
    this.#terminal = terminal;
    this.#stream = stream;
    this.#wait = wait;
    this.output = stream.output;
  }

  write(data: Uint8Array): Promise<void> {
    return this.#stream.write(data);
  }

  closeInput(): Promise<void> {
    return this.#stream.closeInput();
  }

  resize(columns: number, rows: number): Promise<void> {
    return resizeTerminal(this.#terminal, columns, rows);
  }

  exitCode(signal: AbortSignal): Promise<number> {
    return untilAborted(this.#wait.exitCode, signal);
  }

  async kill(): Promise<void> {
    this.#stream.release();
    this.#wait.release();
  }

  async signal(): Promise<void> {
    throw signalsAreForExecs();
  }
}
