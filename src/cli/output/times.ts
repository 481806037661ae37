import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** A duration in docker's words, for example "5 minutes" or "About an hour". A negative one counts as none. */
export function durationInWords(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const hours = Math.round(seconds / hour);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < minute) return `${seconds} seconds`;
  if (seconds < 2 * minute) return "About a minute";
  if (seconds < hour) return `${Math.floor(seconds / minute)} minutes`;
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 14) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 60) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(seconds / (365 * day))} years`;
}

/** How long ago something was, for example "5 minutes ago". Empty when it never was. */
export function agoInWords(time: Timestamp | undefined, nowMs: number): string {
  return time === undefined ? "" : `${durationInWords(nowMs - timestampMs(time))} ago`;
}

/** A moment as people and programs both read it, for example "2026-01-31T12:00:00.000Z". Empty when it never was. */
export function momentInWords(time: Timestamp | undefined): string {
  return time === undefined ? "" : new Date(timestampMs(time)).toISOString();
}

/** How long something took, for example "12 ms", "1.5 s" or "2 minutes". */
export function measuredInWords(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < minute * 1_000 ? `${(ms / 1_000).toFixed(1)} s` : durationInWords(ms);
}
