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
  /** It is the so-manieth of its time. */
  | { readonly kind: "record"; readonly record: LogRecord; readonly sequence: number }
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
  source: AsyncIterable<readonly LogRecord[]>,
  after: LogPosition | undefined,
): AsyncGenerator<readonly PlacedRecord[], void> {
  const places = new Places();
  const search = after && new Search(after);
  for await (const records of source) {
    const found = records.map((record) => places.of(record));
    const told = search === undefined ? found : search.pass(found);
    if (told.length > 0) yield told;
  }
  if (search?.isOver === false) yield search.lost();
}

/** Counts the records of each time. */
class Places {
  /** How many there were of the times that came last, and of those before them. */
  #recent = new Map<bigint, number>();
  #earlier = new Map<bigint, number>();
  #latestNs: bigint | undefined;

  of(record: LogRecord): Placed {
    const sequence = this.#countOf(record.timeNs) + 1;
    this.#recent.set(record.timeNs, sequence);
    // Those of one time stand close together.
    if (this.#recent.size >= maxTimes / 2) {
      this.#earlier = this.#recent;
      this.#recent = new Map();
    }
    return { kind: "record", record, sequence };
  }

  #countOf(timeNs: bigint): number {
    if (this.#latestNs === undefined || timeNs > this.#latestNs) {
      this.#latestNs = timeNs;
      return 0;
    }
    return this.#recent.get(timeNs) ?? this.#earlier.get(timeNs) ?? 0;
  }
}

/** Looks for the record behind which a reader wants to go on. */
class Search {
  readonly #after: LogPosition;
  /** Later than it by their time: seen already when it comes behind them, and not when it is no longer there. */
  readonly #later: Placed[] = [];
  #bytes = 0;
  #isOver = false;

  constructor(after: LogPosition) {
    this.#after = after;
  }

  /** Whether it was found, or lost. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** What there is to tell of these, the next of the log. */
  pass(records: readonly Placed[]): readonly PlacedRecord[] {
    let passed = 0;
    for (const placed of records) {
      if (this.#isOver) break;
      passed += 1;
      const outcome = this.#look(placed);
      this.#isOver = outcome !== "goes on";
      if (outcome === "is lost") return [...this.lost(), ...records.slice(passed)];
    }
    return records.slice(passed);
  }

  /** What there is to tell when it was not found. */
  lost(): PlacedRecord[] {
    const beforeNs = this.#later[0]?.record.timeNs;
    return [{ kind: "gap", afterNs: this.#after.timeNs, beforeNs }, ...this.#later.splice(0)];
  }

  #look(placed: Placed): "goes on" | "is found" | "is lost" {
    const { timeNs, data } = placed.record;
    if (timeNs === this.#after.timeNs && placed.sequence === this.#after.sequence) return "is found";
    if (timeNs > this.#after.timeNs) {
      this.#later.push(placed);
      this.#bytes += data.byteLength;
    }
    const isPast = timeNs > this.#after.timeNs + disorderNs || this.#bytes > maxHeldBytes;
    return isPast ? "is lost" : "goes on";
  }
}
