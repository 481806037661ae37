import type { Duration } from "@bufbuild/protobuf/wkt";

/** A duration of a request, which is not negative, in whole milliseconds, rounded up; unset stays unset. */
export function msOrUnset(duration: Duration | undefined): number | undefined {
  return duration === undefined
    ? undefined
    : Number(duration.seconds) * 1_000 + Math.ceil(duration.nanos / 1_000_000);
}
