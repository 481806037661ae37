import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";

/** A duration of a request in whole milliseconds, rounded up; unset stays unset. */
export function msOrUnset(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Math.ceil(durationMs(duration));
}
