import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { OperationOutcomeSchema } from "../../gen/fairlead/agent/v1/operation_pb.js";
import { operationTraits } from "../../rpc/operation-traits.ts";
import type { CommandRecord } from "../../storage/records.ts";
import { contentFrom } from "../session/control-items.ts";

const nothing = new Uint8Array(0);
const runExec = operationTraits("runExec").name;

/** The operations whose outcomes hold what processes wrote, as the journal names them. They are not kept beyond the time of a caller's key. */
export const operationsWithOutput: readonly string[] = [runExec];

/** What of an ended command's outcome is stored. What a process wrote only where a caller can ask for it again, because it may be secret. */
export function storedOutcome({ operation, outcome, requestId }: CommandRecord): Uint8Array {
  if (operation !== runExec || requestId !== "" || outcome.byteLength === 0) return outcome;
  const { detail, ...rest } = fromBinary(OperationOutcomeSchema, outcome);
  if (detail.case !== "exec") return outcome;
  const { stdout, stderr } = detail.value;
  const value = {
    ...detail.value,
    stdout: nothing,
    stderr: nothing,
    stdoutTruncated: detail.value.stdoutTruncated || stdout.byteLength > 0,
    stderrTruncated: detail.value.stderrTruncated || stderr.byteLength > 0,
  };
  return toBinary(OperationOutcomeSchema, { ...rest, detail: { case: "exec", value } });
}

/** What the event of its end tells of a process: its program, how many arguments it had, and its exit code. Arguments may be secret. */
export function processFacts(
  { operation, payload }: CommandRecord,
  outcome: Uint8Array,
): Readonly<Record<string, string>> {
  if (operation !== runExec) return {};
  const { operation: asked } = contentFrom(payload);
  const [program = "", ...others] =
    asked?.operation.case === "runExec" ? (asked.operation.value.exec?.command ?? []) : [];
  const { detail } = fromBinary(OperationOutcomeSchema, outcome);
  return {
    program: program.slice(0, 255).toWellFormed(),
    arguments: `${others.length}`,
    ...(detail.case === "exec" ? { exit_code: `${detail.value.exitCode}` } : {}),
  };
}
