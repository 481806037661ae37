/**
 * Up to three of the names that somebody who typed `wanted` may have meant, the closest first: those that begin with it, contain
 * it, or differ in a few characters.
 */
export function closeNames(wanted: string, names: Iterable<string>): string[] {
  const found: { readonly name: string; readonly distance: number }[] = [];
  const limit = Math.ceil(wanted.length / 3);
  const lower = wanted.toLowerCase();
  for (const name of names) {
    const distance = howFar(lower, name.toLowerCase(), limit);
    if (distance <= limit) {
      found.push({ name, distance });
    }
  }
  return found
    .toSorted((one, other) => one.distance - other.distance || (one.name < other.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name);
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
