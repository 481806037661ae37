/**
 * Looks a series up by one or two label values, once for each pair: on the path of every command it costs two maps instead of what
 * the library does for each call with labels.
 */
export function children<Child>(
  make: (one: string, other: string) => Child,
): (one: string, other: string) => Child {
  const known = new Map<string, Map<string, Child>>();
  return (one, other) => {
    const ofOne = known.get(one) ?? new Map<string, Child>();
    known.set(one, ofOne);
    const child = ofOne.get(other) ?? make(one, other);
    ofOne.set(other, child);
    return child;
  };
}
