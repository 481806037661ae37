import { constants } from "node:os";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { FleetError } from "../../../domain/errors.ts";
import type { RunExecValid } from "../../../gen/fairlead/agent/v1/container_operations_pb.js";
import { withDeadline } from "../../../resilience/deadline.ts";
import { untilAborted } from "../../../resilience/signals.ts";
import type { EngineProcess } from "../../engine/engine-streams.ts";
import type { OperationContext, Outcome } from "../operations/operation-context.ts";
import { BoundedBytes } from "./bounded-bytes.ts";

/** What is told of each output. */
const outputBytes = 1024 * 1024;
const usualLimitMs = 30_000;
const inputPieceBytes = 16 * 1024;
const killedExitCode = 128 + constants.signals.SIGKILL;

/**
 * Runs a process in a container to its end, and tells how it ended and the beginning of what it wrote. Once it runs it lets go of its
 * turn: a stop of its container need not wait for it. Beyond its time it is killed, and so it is when nobody wants it any more.
 */
export async function runExec(request: RunExecValid, context: OperationContext): Promise<Outcome> {
  const container = await context.find(request.container);
  context.rooms.protection.refuse("runExec", container);
  const { command, environment, workingDirectory, user, privileged } = request.exec;
  const stdin = request.stdin.byteLength > 0;
  const spec = { command, environment, workingDirectory, user, privileged, tty: false, stdin };
  const process = await context.change(() => context.rooms.engine.exec(container.id, spec, context.signal));
  context.leaveTurn();
  return { changed: true, detail: { case: "exec", value: await resultOf(process, request, context) } };
}

async function resultOf(
  process: EngineProcess,
  { stdin, timeLimit }: RunExecValid,
  { rooms: { clock }, signal }: OperationContext,
) {
  const outputs = { stdout: new BoundedBytes(outputBytes), stderr: new BoundedBytes(outputBytes) };
  const ms = timeLimit === undefined ? usualLimitMs : durationMs(timeLimit);
  const late = new FleetError("DEADLINE_EXCEEDED", `the process ran longer than ${ms} ms`);
  const feeding = feed(process, stdin);
  const reading = read(process, outputs);
  let exitCode = killedExitCode;
  let timedOut = false;
  try {
    exitCode = await withDeadline({ ms, clock, parent: signal, late: () => late }, async (within) => {
      await untilAborted(reading, within);
      return await process.exitCode(within);
    });
  } catch (error) {
    timedOut = error === late;
    if (!timedOut) throw signal.aborted ? signal.reason : lost(error);
  } finally {
    await process.kill();
    await Promise.allSettled([feeding, reading]);
  }
  const { stdout, stderr } = outputs;
  return {
    exitCode,
    timedOut,
    stdout: stdout.bytes(),
    stderr: stderr.bytes(),
    stdoutTruncated: stdout.truncated,
    stderrTruncated: stderr.truncated,
  };
}

/** To the end, also when nothing more is kept: a process whose output nobody reads stands still. */
async function read(
  process: EngineProcess,
  outputs: Readonly<Record<"stdout" | "stderr", BoundedBytes>>,
): Promise<void> {
  for await (const { stream, data } of process.output) outputs[stream].add(data);
}

async function feed(process: EngineProcess, input: Uint8Array): Promise<void> {
  if (input.byteLength === 0) return;
  for (let from = 0; from < input.byteLength; from += inputPieceBytes) {
    await process.write(input.subarray(from, from + inputPieceBytes));
  }
  await process.closeInput();
}

// It ran, so that no failure may be one that a retry can help.
function lost(error: unknown): unknown {
  if (!(error instanceof FleetError)) return error;
  const message = `the process was started, and its end could not be seen: ${error.message}`;
  return new FleetError("OUTCOME_UNKNOWN", message, { metadata: error.metadata, cause: error });
}
