import { FleetError } from "../../domain/errors.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { DockerConnection } from "./docker-connection.ts";
import { execStateWhen, hasEnded } from "./docker-exec-api.ts";
import type { ExecSpec } from "./engine-streams.ts";
import { signalGroup, signalSession } from "./host-processes.ts";

/** A way to signal the processes of one exec, which Docker's API has not. False: none of them was there. */
export interface ExecReach {
  /** What it must find in its environment, so that it is found again. */
  readonly environment: Readonly<Record<string, string>>;
  /** The process with its group. `pid` is that of the engine's host. */
  signal(pid: number, signalNumber: number, abort: AbortSignal): Promise<boolean>;
  /** The process, with everything that it started and that did not go its own way. */
  signalAll(pid: number, signalNumber: number, abort: AbortSignal): Promise<boolean>;
}

/** For an engine whose processes are seen on this host. */
export function reachOnThisHost(containerId: string): ExecReach {
  return {
    environment: {},
    signal: (pid, signalNumber) => signalGroup(pid, containerId, signalNumber),
    signalAll: async (pid, signalNumber) => (await signalSession(pid, containerId, signalNumber)) > 0,
  };
}

/** The variable that marks the processes of an exec. */
const markName = "FAIRLEAD_EXEC_ID";

/** Needs nothing but a shell. Ends with 0 when it has signalled a process that carries the mark. */
const script = `
found=1
for process in /proc/[0-9]*; do
  while IFS= read -r line || [ -n "$line" ]; do
    case "$line" in
      *"$1"*) kill -"$2" "\${process#/proc/}" 2>/dev/null && found=0; break ;;
    esac
  done 2>/dev/null < "$process/environ"
done
exit $found
`;

/**
 * For an engine elsewhere: a mark in the environment, and a shell in the container, as the same user, that looks for it. It
 * rejects with `OPERATION_UNSUPPORTED` where the container has no shell.
 */
export function reachInside(options: {
  readonly connection: DockerConnection;
  readonly clock: Clock;
  readonly containerId: string;
  readonly spec: ExecSpec;
  readonly mark: string;
}): ExecReach {
  const { connection, clock, containerId, spec, mark } = options;
  const signal = async (_: number, signalNumber: number, abort: AbortSignal) => {
    const { Id: execId } = await connection.requestJson<{ readonly Id: string }>(
      {
        method: "POST",
        path: `/containers/${containerId}/exec`,
        body: {
          Cmd: ["sh", "-c", script, "sh", `${markName}=${mark}`, `${signalNumber}`],
          User: spec.user,
          // Only who may do as much may look at it.
          Privileged: spec.privileged,
        },
      },
      abort,
    );
    await connection
      .request({ method: "POST", path: `/exec/${execId}/start`, body: { Detach: true, Tty: false } }, abort)
      .catch((cause: unknown) => {
        throw noShell(cause);
      });
    const state = await execStateWhen({ connection, clock }, execId, hasEnded, abort);
    if (state !== undefined && (state.ExitCode ?? 0) > 1) {
      throw noShell(undefined);
    }
    return state?.ExitCode === 0;
  };
  return { environment: { [markName]: mark }, signal, signalAll: signal };
}

function noShell(cause: unknown): FleetError {
  return new FleetError(
    "OPERATION_UNSUPPORTED",
    "a process in this container can be signalled only by a shell inside of it, and there is none",
    { cause },
  );
}
