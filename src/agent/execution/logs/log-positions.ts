import type { LogRecord } from "../../engine/engine-streams.ts";

/** A place in a log: behind the so-manieth record of a time. */
export interface LogPosition {
  /** In nanoseconds since the epoch, by the engine's clock. */
  readonly timeNs: bigint;
  /** 1 for the first record of that time. */
  readonly sequence: number;
}

/** What a log that is taken up again tells. */
export type PlacedRecord =
  | { readonly kind: "record"; readonly record: LogRecord; readonly position: LogPosition }
  /** What was seen last is no longer there, so that what followed it may be missing too. `beforeNs` undefined: nothing came behind it. */
  | { readonly kind: "gap"; readonly afterNs: bigint; readonly beforeNs: bigint | undefined };

/**
 * Says of each record where it stands, and leaves out what was seen up to `after`. For that the log must be read from the time of `after` on.
 */
export async function* placed(
  records: AsyncIterable<LogRecord>,
  after: LogPosition | undefined,
): AsyncGenerator<PlacedRecord, void> {
  let timeNs = -1n;
  let sequence = 0;
  let sought = after;
  for await (const record of records) {
    sequence = record.timeNs === timeNs ? sequence + 1 : 1;
    ({ timeNs } = record);
    if (sought !== undefined) {
      const wasSeen = timeNs === sought.timeNs && sequence <= sought.sequence;
      const isLastSeen = wasSeen && sequence === sought.sequence;
      const { timeNs: afterNs } = sought;
      if (isLastSeen || !wasSeen) sought = undefined;
      if (wasSeen) continue;
      yield { kind: "gap", afterNs, beforeNs: timeNs };
    }
    yield { kind: "record", record, position: { timeNs, sequence } };
  }
  if (sought !== undefined) yield { kind: "gap", afterNs: sought.timeNs, beforeNs: undefined };
}
