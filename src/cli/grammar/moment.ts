import { fromJson } from "@bufbuild/protobuf";
import { timestampFromMs, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { InvalidArgumentError } from "commander";
import { parseDuration } from "./duration.ts";

/** A moment as people say it: a point in time, or so far from now. */
export type Moment =
  | { readonly kind: "at"; readonly time: Timestamp }
  | { readonly kind: "away"; readonly ms: number };

/** A moment such as "10m", or "2026-01-31T12:00:00Z" to the nanosecond. Throws `InvalidArgumentError`. */
export function parseMoment(text: string): Moment {
  return /^\d{4}-/.test(text)
    ? { kind: "at", time: parseTime(text) }
    : { kind: "away", ms: parseDuration(text) };
}

/** A point in time as RFC 3339 writes it, to the nanosecond; a day alone is its beginning in UTC. Throws `InvalidArgumentError`. */
export function parseTime(text: string): Timestamp {
  try {
    return fromJson(TimestampSchema, /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  } catch {
    throw new InvalidArgumentError('Write a time as "2026-01-31T12:00:00Z".');
  }
}

/** When a moment is that lies in the past, as seen from now. */
export function momentBefore(moment: Moment, nowMs: number): Timestamp {
  return moment.kind === "at" ? moment.time : timestampFromMs(nowMs - moment.ms);
}

/** When a moment is that lies in the future, as seen from now. */
export function momentAfter(moment: Moment, nowMs: number): Timestamp {
  return moment.kind === "at" ? moment.time : timestampFromMs(nowMs + moment.ms);
}
