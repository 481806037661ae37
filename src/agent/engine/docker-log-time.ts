import { nsFromSeconds } from "../../domain/nanoseconds.ts";
import { momentFromRfc3339 } from "./rfc3339.ts";

/** The longest time that Docker writes in front of a record, with a zone of its own, and the space after it. */
export const maxTimeBytes = 36;

/** What stands in front of a record's data. */
export interface LogTime {
  readonly timeNs: bigint;
  /** With the space after it. */
  readonly bytes: number;
}

const space = 0x20;

/** Reads the time that stands at this place. Undefined: there is none. */
export function logTimeAt(data: Buffer, at: number): LogTime | undefined {
  const window = data.subarray(at, at + maxTimeBytes);
  const bytes = window.indexOf(space) + 1;
  const moment = bytes > 1 ? momentFromRfc3339(window.toString("latin1", 0, bytes - 1)) : undefined;
  return moment && { timeNs: nsFromSeconds(moment), bytes };
}
