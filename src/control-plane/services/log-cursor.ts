import { FleetError } from "../../domain/errors.ts";
import { nsFromSeconds, secondsFromNs } from "../../domain/nanoseconds.ts";
import type { LogPosition } from "../../gen/fairlead/agent/v1/stream_operations_pb.js";

/** Behind which record of a container's log. */
export interface LogCursor {
  readonly containerId: string;
  /** Of the record, in nanoseconds since the epoch. */
  readonly timeNs: bigint;
  /** 1 for the first record of that time. */
  readonly sequence: number;
}

const form = /^([A-Za-z0-9_-]{1,128})\.(\d{1,19})\.([1-9]\d{0,9})$/;

/** A cursor as callers see it. They need not look into it. */
export function logCursorText(containerId: string, { time, sequence }: LogPosition): string {
  return `${containerId}.${time === undefined ? 0n : nsFromSeconds(time)}.${sequence}`;
}

/** What a caller gave as a cursor. Throws INVALID_ARGUMENT. */
export function parseLogCursor(text: string): LogCursor {
  const [, containerId = "", timeNs = "", sequence = ""] = form.exec(text) ?? [];
  if (containerId === "" || Number(sequence) > 0xffff_ffff) {
    const description = "is none that a stream of logs gave out; leave it out to begin anew";
    throw new FleetError("INVALID_ARGUMENT", `cursors: ${JSON.stringify(text)} ${description}`, {
      violations: [{ field: "cursors", description }],
    });
  }
  return { containerId, timeNs: BigInt(timeNs), sequence: Number(sequence) };
}

/** The cursor as agents are told it. */
export function positionOfCursor({ timeNs, sequence }: LogCursor) {
  return { time: secondsFromNs(timeNs), sequence };
}
