/** What several rounds of one measurement gave. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The summary of some values, of which there must be one. */
export function summaryOf(values: readonly number[]): Summary {
  return { median: percentile(values, 0.5), min: Math.min(...values), max: Math.max(...values) };
}

/** The value below which such a share (0 to 1) of the values is; the mean of the two that are nearest to it. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  const position = (sorted.length - 1) * share;
  const low = sorted[Math.floor(position)];
  const high = sorted[Math.ceil(position)];
  if (low === undefined || high === undefined) throw new RangeError("no values, no percentile");
  return low + (high - low) * (position - Math.floor(position));
}
