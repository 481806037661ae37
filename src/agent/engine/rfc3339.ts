import { type SecondsAndNanos, secondsFromNs } from "../../domain/nanoseconds.ts";

/**
 * Reads a time of RFC 3339 with all its nanoseconds. Undefined for what is none, and for Go's zero time, which means
 * "never".
 */
export function momentFromRfc3339(text: string | undefined): SecondsAndNanos | undefined {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/i.exec(text ?? "");
  if (parts === null) {
    return undefined;
  }
  const [, whole = "", fraction = "", zone = ""] = parts;
  const milliseconds = Date.parse(`${whole}${zone}`);
  if (Number.isNaN(milliseconds) || whole.startsWith("0001-01-01")) {
    return undefined;
  }
  return { seconds: BigInt(milliseconds / 1000), nanos: Number(fraction.padEnd(9, "0")) };
}

/** The same for milliseconds since the epoch. */
export function momentFromMilliseconds(milliseconds: number): SecondsAndNanos {
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds: BigInt(seconds), nanos: Math.floor((milliseconds - seconds * 1000) * 1e6) };
}

/** A time for Docker, which reads the fraction digit by digit, so that nothing is lost. In nanoseconds since the epoch. */
export function dockerTimeFromNs(timeNs: bigint): string {
  const { seconds, nanos } = secondsFromNs(timeNs);
  return `${seconds}.${`${nanos}`.padStart(9, "0")}`;
}
