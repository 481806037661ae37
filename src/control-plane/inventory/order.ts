/** Orders texts by their code units: the same everywhere, whatever the machine's language. */
export function compareText(one: string, other: string): number {
  if (one === other) {
    return 0;
  }
  return one < other ? -1 : 1;
}

/**
 * The index of the first item of a sorted list that stands after a position. `compare` says where an item stands
 * against it: negative before, 0 at it, positive after.
 */
export function firstAfter<Item>(sorted: readonly Item[], compare: (item: Item) => number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(sorted[middle] as Item) > 0) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}
