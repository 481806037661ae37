import { constants } from "node:os";
import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import type { Clock } from "../../resilience/clock.ts";
import { linkSignal } from "../../resilience/signals.ts";
import { detachKeys } from "./detach-keys.ts";
import type { DockerConnection } from "./docker-connection.ts";
import { type DockerExecState, execState, execStateWhen, hasEnded } from "./docker-exec-api.ts";
import { type ExecReach, reachInside, reachOnThisHost } from "./docker-exec-reach.ts";
import type { DockerInspection } from "./docker-json.ts";
import { patiently } from "./docker-patience.ts";
import { resizeTerminal } from "./docker-resize.ts";
import { DockerStream } from "./docker-stream.ts";
import type { EngineProcess, ExecSpec, OutputPiece } from "./engine-streams.ts";
import { isWithinReach } from "./host-processes.ts";
import { parseSignal } from "./linux-signals.ts";

/** What an exec needs of its engine. */
export interface DockerExecDependencies {
  readonly connection: DockerConnection;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The container in which it runs. */
  readonly inspect: (signal: AbortSignal) => Promise<DockerInspection>;
}

/** How long after its start an exec may have no process yet. */
const beginWithinMs = 5_000;
/** How often it is asked for while its output is still open. */
const lookAgainMs = 1_000;
/** And when it is closed. */
const lookSoonMs = 20;
/** What a process ends with whose container was removed. */
const killedExitCode = 128 + constants.signals.SIGKILL;
/**
 * With this Docker says that there was no process, or that it lost the connection to one; then it knows nothing more of it, and
 * says that it does not run.
 */
const lostExitCode = 126;
/** Starts a process in a container, as `Engine.exec` promises. When that fails in the middle, nothing is left running. */
export async function startExec(
  dependencies: DockerExecDependencies,
  spec: ExecSpec,
  signal: AbortSignal,
): Promise<EngineProcess> {
  const { connection } = dependencies;
  const inspection = await dependencies.inspect(signal);
  const reach = await reachOf(dependencies, inspection, spec);
  const { Id: execId } = await connection.requestJson<{ readonly Id: string }>(
    { method: "POST", path: `/containers/${inspection.Id}/exec`, body: creationOf(spec, reach) },
    signal,
  );
  const processes = new ExecProcesses(dependencies, execId, reach);
  try {
    const socket = await connection.hijack(
      {
        method: "POST",
        path: `/exec/${execId}/start`,
        body: { Detach: false, Tty: spec.tty, ...sizeOf(spec) },
      },
      signal,
    );
    const exec = new DockerExec(
      dependencies,
      processes,
      new DockerStream(socket, { tty: spec.tty, address: connection.address }),
    );
    if (spec.tty && spec.columns && spec.rows) {
      // Engines before API 1.42 do not know the size from the start.
      void exec.resize(spec.columns, spec.rows).catch(() => {});
    }
    return exec;
  } catch (error) {
    // Whoever waits for the start is not kept waiting for the end.
    void processes.end(() => {});
    throw error;
  }
}

async function reachOf(
  { connection, clock }: DockerExecDependencies,
  { Id: containerId, State: state }: DockerInspection,
  spec: ExecSpec,
): Promise<ExecReach> {
  return (await isWithinReach(state?.Pid ?? 0, containerId))
    ? reachOnThisHost(containerId)
    : reachInside({ connection, clock, containerId, spec, mark: randomUUID() });
}

function creationOf(spec: ExecSpec, reach: ExecReach): object {
  const environment = { ...spec.environment, ...reach.environment };
  return {
    AttachStdin: spec.stdin,
    AttachStdout: true,
    AttachStderr: true,
    Tty: spec.tty,
    Cmd: spec.command,
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    WorkingDir: spec.workingDirectory,
    User: spec.user,
    Privileged: spec.privileged,
    ...(spec.tty && { DetachKeys: detachKeys }),
    ...sizeOf(spec),
  };
}

function sizeOf({ tty, columns, rows }: ExecSpec): object {
  return tty && columns && rows ? { ConsoleSize: [rows, columns] } : {};
}

/** Whether there may be a process. */
function mayRun({ Running, ExitCode, Pid }: DockerExecState): boolean {
  return Pid > 0 && (Running || ExitCode === lostExitCode);
}

/** The processes of one exec, as far as the engine tells of them. */
class ExecProcesses {
  readonly execId: string;
  /** Whether there was a process for our SIGKILL. */
  killed = false;
  readonly #dependencies: DockerExecDependencies;
  readonly #reach: ExecReach;

  constructor(dependencies: DockerExecDependencies, execId: string, reach: ExecReach) {
    this.#dependencies = dependencies;
    this.execId = execId;
    this.#reach = reach;
  }

  state(signal: AbortSignal): Promise<DockerExecState | undefined> {
    return execState(this.#dependencies.connection, this.execId, signal);
  }

  /** Sends a signal. Nothing happens when it has ended. */
  async signal(signalNumber: number, abort: AbortSignal): Promise<void> {
    const state = await this.#begun(abort);
    if (state?.Running) {
      await this.#reach.signal(state.Pid, signalNumber, abort);
    }
  }

  /**
   * Kills, and waits until nothing is left. `release` is called once, when the connection is of no use any more. Says in the
   * log when that did not work. Never rejects.
   */
  async end(release: () => void): Promise<void> {
    try {
      await patiently(this.#dependencies.clock, async (abort) => {
        // To cut the connection first would make Docker lose the process.
        const state = await this.#begun(abort);
        if (state !== undefined && mayRun(state)) {
          await this.#killAll(state.Pid, release, abort);
        }
      });
    } catch (error) {
      this.#dependencies.logger.warn(
        { err: error, execId: this.execId },
        "a process in a container could not be killed after its caller went away: it may still run",
      );
    } finally {
      release();
    }
  }

  async #killAll(pid: number, release: () => void, abort: AbortSignal): Promise<void> {
    // What is started in the moment of the killing is met by the next round.
    while (await this.#reach.signalAll(pid, constants.signals.SIGKILL, abort)) {
      this.killed = true;
      // Whoever stopped reading would keep the engine from seeing the end.
      release();
      await this.#dependencies.clock.sleep(lookSoonMs, abort);
    }
    release();
    await execStateWhen(this.#dependencies, this.execId, hasEnded, abort);
  }

  /** The engine answers the start of an exec before there is a process. One that does not come in time never will. */
  async #begun(abort: AbortSignal): Promise<DockerExecState | undefined> {
    const { clock } = this.#dependencies;
    const deadline = clock.monotonic() + beginWithinMs;
    const isSo = (state: DockerExecState) =>
      state.Pid > 0 || hasEnded(state) || (!state.Running && clock.monotonic() > deadline);
    return execStateWhen(this.#dependencies, this.execId, isSo, abort);
  }
}

class DockerExec implements EngineProcess {
  readonly output: AsyncIterable<OutputPiece>;
  readonly #dependencies: DockerExecDependencies;
  readonly #processes: ExecProcesses;
  readonly #stream: DockerStream;
  #killed: Promise<void> | undefined;

  constructor(dependencies: DockerExecDependencies, processes: ExecProcesses, stream: DockerStream) {
    this.#dependencies = dependencies;
    this.#processes = processes;
    this.#stream = stream;
    this.output = stream.output;
  }

  write(data: Uint8Array): Promise<void> {
    return this.#stream.write(data);
  }

  closeInput(): Promise<void> {
    return this.#stream.closeInput();
  }

  resize(columns: number, rows: number): Promise<void> {
    const { connection, clock } = this.#dependencies;
    const isOver = async (signal: AbortSignal) => {
      const state = await this.#processes.state(signal);
      return state === undefined || hasEnded(state);
    };
    const path = `/exec/${this.#processes.execId}`;
    return resizeTerminal({ connection, clock, path, hasEnded: isOver }, columns, rows);
  }

  async exitCode(signal: AbortSignal): Promise<number> {
    for (;;) {
      const state = await this.#processes.state(signal);
      if (state === undefined) {
        return killedExitCode;
      }
      if (hasEnded(state)) {
        const lost = this.#processes.killed && state.ExitCode === lostExitCode;
        return lost ? killedExitCode : (state.ExitCode ?? 0);
      }
      await this.#untilNextLook(signal);
    }
  }

  kill(): Promise<void> {
    this.#killed ??= this.#processes.end(() => this.#stream.release());
    return this.#killed;
  }

  async signal(name: string): Promise<void> {
    const signalNumber = parseSignal(name);
    await patiently(this.#dependencies.clock, (abort) => this.#processes.signal(signalNumber, abort));
  }

  async #untilNextLook(signal: AbortSignal): Promise<void> {
    const { clock } = this.#dependencies;
    if (this.#stream.over) {
      return clock.sleep(lookSoonMs, signal);
    }
    const waiting = linkSignal(signal);
    const forget = this.#stream.whenOver(() => waiting.abort(new Error("the output has ended")));
    try {
      await clock.sleep(lookAgainMs, waiting.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!this.#stream.over) {
        throw error;
      }
    } finally {
      forget();
      waiting.release();
    }
  }
}
