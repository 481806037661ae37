import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { CommandResult } from "../../../src/gen/fairlead/agent/v1/command_pb.js";

export const start = (container: string) => ({ case: "startContainer", value: { container } }) as const;
// A process that ignores SIGTERM, as a first process does: no grace, or it takes ten seconds.
const gracePeriod = durationFromMs(0);
export const stop = (container: string) =>
  ({ case: "stopContainer", value: { container, gracePeriod } }) as const;
export const restart = (container: string) => ({ case: "restartContainer", value: { container } }) as const;
export const inspect = (container: string) => ({ case: "inspectContainer", value: { container } }) as const;

/** Why a command failed; undefined where it did not. */
export function reasonOf({ end }: CommandResult): string | undefined {
  return end.case === "failure" ? end.value.reason : undefined;
}

/** Rejects with the reason of the signal, and never before. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}
