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

type Placed = Extract<PlacedRecord, { kind: "record" }>;

/**
 * How far a log may be out of the order of its times, in nanoseconds. Docker reads the two outputs of a container side by side, and each of
 * them takes its time before it waits for its turn to be written.
 */
export const disorderNs = 1_000_000_000n;

// Of records that may have been seen already; a log with more within a second is taken for one that has lost the place.
const maxHeldBytes = 4 * 1024 * 1024;
const maxTimes = 4_096;

/**
 * Says of each record where it stands, and leaves out what stands up to `after`, in the order of the log itself. For that the log must be read from
 * `disorderNs` before the time of `after` on.
 */
export async function* placed(
  records: AsyncIterable<LogRecord>,
  after: LogPosition | undefined,
): AsyncGenerator<PlacedRecord, void> {
  const places = new Places();
  let search = after && new Search(after);
  for await (const record of records) {
    const found = places.of(record);
    if (search === undefined) {
      yield found;
      continue;
    }
    const outcome = search.look(found);
    if (outcome === "goes on") continue;
    if (outcome === "is lost") yield* search.lost();
    search = undefined;
  }
  if (search !== undefined) yield* search.lost();
}

/** Counts the records of each time. */
class Places {
  readonly #counts = new Map<bigint, number>();

  of(record: LogRecord): Placed {
    const { timeNs } = record;
    const sequence = (this.#counts.get(timeNs) ?? 0) + 1;
    this.#counts.set(timeNs, sequence);
    if (this.#counts.size > maxTimes) this.#forgetOldest();
    return { kind: "record", record, position: { timeNs, sequence } };
  }

  // Those of one time stand close together.
  #forgetOldest(): void {
    for (const timeNs of this.#counts.keys()) {
      if (this.#counts.size <= maxTimes / 2) return;
      this.#counts.delete(timeNs);
    }
  }
}

/** Looks for the record behind which a reader wants to go on. */
class Search {
  readonly #after: LogPosition;
  /** Later than it by their time: seen already when it comes behind them, and not when it is no longer there. */
  readonly #later: Placed[] = [];
  #bytes = 0;

  constructor(after: LogPosition) {
    this.#after = after;
  }

  look(placed: Placed): "goes on" | "is found" | "is lost" {
    const { timeNs, sequence } = placed.position;
    if (timeNs === this.#after.timeNs && sequence === this.#after.sequence) return "is found";
    if (timeNs > this.#after.timeNs) {
      this.#later.push(placed);
      this.#bytes += placed.record.data.byteLength;
    }
    const isPast = timeNs > this.#after.timeNs + disorderNs || this.#bytes > maxHeldBytes;
    return isPast ? "is lost" : "goes on";
  }

  /** What there is to tell when it was not found. */
  *lost(): Generator<PlacedRecord, void> {
    yield { kind: "gap", afterNs: this.#after.timeNs, beforeNs: this.#later[0]?.position.timeNs };
    yield* this.#later;
  }
}
