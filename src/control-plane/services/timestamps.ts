import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";

/** A time of a record for a message; unset stays unset. */
export function timestampOrUnset(epochMs: number | undefined): Timestamp | undefined {
  return epochMs === undefined ? undefined : timestampFromMs(epochMs);
}
