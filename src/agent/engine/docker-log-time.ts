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
const capitalZ = 0x5a;
const zero = 0x30;
/** As Docker writes nearly every time: "2026-01-31T12:00:00.", nine digits, and "Z ". */
const secondBytes = 20;
const usualBytes = 31;

/** The second that was read last, of whatever log. Nearly every record is of the same one as that before it. */
const lastSecond = { text: Buffer.alloc(secondBytes), ns: 0n };

/** Reads the time that stands at this place. Undefined: there is none. */
export function logTimeAt(data: Buffer, at: number): LogTime | undefined {
  return timeInLastSecond(data, at) ?? anyTime(data, at);
}

function timeInLastSecond(data: Buffer, at: number): LogTime | undefined {
  if (!isUsual(data, at)) return undefined;
  if (data.compare(lastSecond.text, 0, secondBytes, at, at + secondBytes) !== 0) return undefined;
  let nanos = 0;
  for (let index = at + secondBytes; index < at + usualBytes - 2; index += 1) {
    const digit = (data[index] ?? 0) - zero;
    if (digit < 0 || digit > 9) return undefined;
    nanos = nanos * 10 + digit;
  }
  return { timeNs: lastSecond.ns + BigInt(nanos), bytes: usualBytes };
}

function anyTime(data: Buffer, at: number): LogTime | undefined {
  const window = data.subarray(at, at + maxTimeBytes);
  const bytes = window.indexOf(space) + 1;
  const moment = bytes > 1 ? momentFromRfc3339(window.toString("latin1", 0, bytes - 1)) : undefined;
  if (moment === undefined) return undefined;
  if (bytes === usualBytes && isUsual(data, at)) {
    window.copy(lastSecond.text, 0, 0, secondBytes);
    lastSecond.ns = nsFromSeconds({ ...moment, nanos: 0 });
  }
  return { timeNs: nsFromSeconds(moment), bytes };
}

function isUsual(data: Buffer, at: number): boolean {
  return data[at + usualBytes - 1] === space && data[at + usualBytes - 2] === capitalZ;
}
