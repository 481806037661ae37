import { WireType } from "@bufbuild/protobuf/wire";
import { CommandResultSchema, FailureSchema } from "../../../gen/fairlead/agent/v1/command_pb.js";
import { OperationOutcomeSchema } from "../../../gen/fairlead/agent/v1/operation_pb.js";
import { FleetError, reasonTraits } from "../../../domain/errors.ts";
import { writeMessage } from "../../../rpc/message-writer.ts";
import { writeTime } from "../../../rpc/wire-times.ts";
import { WireWriter } from "../../../rpc/wire-writer.ts";
import type { Outcome } from "./operation-context.ts";

/** How a command ended. */
export type CommandEnd = { readonly outcome: Outcome } | { readonly error: FleetError };

/** A command that ended. */
export interface EndedCommand {
  readonly commandId: string;
  readonly attempt: number;
  /** When it began, in milliseconds since the epoch. Undefined: it never began. */
  readonly startedMs: number | undefined;
  readonly endedMs: number;
  readonly end: CommandEnd;
}

/** What a control plane takes of one result, in bytes. */
export const maxResultBytes = 4 * 1024 * 1024;

/** The serialised CommandResult. One that is too large for the protocol becomes a failure that says so. */
export function encodedResult(command: EndedCommand): Uint8Array {
  const bytes = encode(command);
  if (bytes.byteLength <= maxResultBytes) return bytes;
  const error = new FleetError("OPERATION_FAILED", "the outcome is larger than 4 MiB and cannot be sent", {
    metadata: { bytes: `${bytes.byteLength}` },
  });
  return encode({ ...command, end: { error } });
}

/**
 * The end as it is written down: what a process wrote may be secret and stays out of the agent's files. The same object where there is
 * nothing of that.
 */
export function withoutOutput(end: CommandEnd): CommandEnd {
  if (!("outcome" in end) || end.outcome.detail?.case !== "exec") return end;
  const { stdout, stderr, stdoutTruncated, stderrTruncated, ...exec } = end.outcome.detail.value;
  const value = {
    ...exec,
    stdout: new Uint8Array(),
    stderr: new Uint8Array(),
    stdoutTruncated: stdoutTruncated === true || (stdout?.byteLength ?? 0) > 0,
    stderrTruncated: stderrTruncated === true || (stderr?.byteLength ?? 0) > 0,
  };
  return { outcome: { changed: end.outcome.changed ?? false, detail: { case: "exec", value } } };
}

/** Whether a retry of the same command can help. */
export function isRetryable(end: CommandEnd): boolean {
  return "error" in end && reasonTraits[end.error.reason].retryable;
}

// Nothing is awaited while one writes: so it can be the same for all.
const writer = new WireWriter();
const fields = CommandResultSchema.field;

// Field by field: making a whole message only to write it took a third of an agent's time for a read.
function encode({ commandId, attempt, startedMs, endedMs, end }: EndedCommand): Uint8Array {
  writer.begin().tag(fields.commandId.number, WireType.LengthDelimited).string(commandId);
  writer.tag(fields.attempt.number, WireType.Varint).uint32(attempt);
  const { number } = "outcome" in end ? fields.outcome : fields.failure;
  const mark = writer.tag(number, WireType.LengthDelimited).fork();
  if ("outcome" in end) writeMessage(writer, OperationOutcomeSchema, end.outcome);
  else writeMessage(writer, FailureSchema, failureFrom(end.error));
  writer.join(mark);
  if (startedMs !== undefined) writeTime(writer, fields.startedTime.number, startedMs);
  writeTime(writer, fields.endedTime.number, endedMs);
  return writer.finish();
}

// The schema bounds what a failure carries; the engine's own words may be longer.
function failureFrom(error: FleetError) {
  const facts = Object.entries(error.metadata).slice(0, 64);
  const violations = error.violations.map(({ field, description }) => `; ${field}: ${description}`).join("");
  return {
    reason: error.reason,
    message: cut(`${error.message}${violations}`),
    metadata: Object.fromEntries(facts.map(([key, value]) => [key.slice(0, 64), cut(value)])),
  };
}

function cut(text: string): string {
  const kept = text.length <= 4096 ? text : `${text.slice(0, 4095)}…`;
  // Half a surrogate pair at the cut, or in the engine's words, would not serialise.
  return kept.toWellFormed();
}
