import { compareText } from "./order.ts";

/** A text longer than this was hardly typed, and comparing it with a whole fleet takes long. */
const longestTyped = 64;

/** At most three of the names that somebody who typed `wanted` most likely meant: they begin with it, contain it, or are a few letters off. */
export function closeNames(wanted: string, names: Iterable<string>): string[] {
  let found: string[] = [];
  let closest = wanted.length > longestTyped ? -1 : Math.ceil(wanted.length / 3);
  const lower = wanted.toLowerCase();
  for (const name of names) {
    const distance = howFar(lower, name.toLowerCase(), closest);
    if (distance < closest) {
      closest = distance;
      found = [];
    }
    if (distance === closest) {
      found.push(name);
    }
  }
  return found.toSorted(compareText).slice(0, 3);
}

function howFar(wanted: string, name: string, limit: number): number {
  if (wanted.length > 1 && name.includes(wanted)) {
    return name.startsWith(wanted) ? 0 : 1;
  }
  return Math.abs(wanted.length - name.length) > limit ? Infinity : editDistance(wanted, name);
}

// Levenshtein's distance, one row at a time.
function editDistance(one: string, other: string): number {
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (one[row - 1] === other[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[other.length] ?? 0;
}
