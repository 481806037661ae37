/** Labels of a host. */
export type Labels = Readonly<Record<string, string>>;

/** Which hosts exist for a caller: those with all labels of a selector, as they are labelled now. */
export class HostScope {
  readonly #tests: readonly ((labels: Labels) => boolean)[];

  /** Each requirement is "key", or "key=value". */
  constructor(selector: readonly string[]) {
    this.#tests = selector.map(testOf);
  }

  /** Whether a host with these labels exists for the caller. */
  sees(labels: Labels): boolean {
    return this.#tests.every((test) => test(labels));
  }
}

function testOf(requirement: string): (labels: Labels) => boolean {
  const equals = requirement.indexOf("=");
  if (equals === -1) {
    return (labels) => Object.hasOwn(labels, requirement);
  }
  const key = requirement.slice(0, equals);
  const value = requirement.slice(equals + 1);
  return (labels) => Object.hasOwn(labels, key) && labels[key] === value;
}
