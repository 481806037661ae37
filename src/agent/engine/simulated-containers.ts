import { failureFromAnswer } from "./docker-errors.ts";
import type { FleetError } from "../../domain/errors.ts";
import type { SimulatedContainer } from "./simulated-container.ts";

/** The containers of one simulated engine, found as Docker finds them. Its errors are in Docker's words. */
export class SimulatedContainers {
  readonly #byId = new Map<string, SimulatedContainer>();
  readonly #byName = new Map<string, SimulatedContainer>();

  /** Newest first, like Docker's list. */
  all(): SimulatedContainer[] {
    return [...this.#byId.values()].toReversed();
  }

  /** By full id, name or unambiguous prefix, in this order. Throws `CONTAINER_NOT_FOUND` or `CONTAINER_AMBIGUOUS`. */
  find(reference: string): SimulatedContainer {
    const exact = this.#byId.get(reference) ?? this.#byName.get(reference.replace(/^\//, ""));
    if (exact !== undefined) {
      return exact;
    }
    const candidates = this.all().filter(({ id }) => reference !== "" && id.startsWith(reference));
    const [only] = candidates;
    if (only === undefined) {
      throw failureFromAnswer(404, `No such container: ${reference}`);
    }
    if (candidates.length > 1) {
      throw ambiguous(reference, candidates);
    }
    return only;
  }

  /** Whether it is still there. */
  has(container: SimulatedContainer): boolean {
    return this.#byId.has(container.id);
  }

  /** Throws `INVALID_ARGUMENT` for what is no name, `NAME_IN_USE` for another one's. */
  checkName(name: string): void {
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
      throw failureFromAnswer(
        400,
        `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
      );
    }
    const owner = this.#byName.get(name);
    if (owner !== undefined) {
      throw failureFromAnswer(
        409,
        `Conflict. The container name "/${name}" is already in use by container "${owner.id}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    }
  }

  hasName(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Adds one whose name was checked. */
  add(container: SimulatedContainer): void {
    this.#byId.set(container.id, container);
    this.#byName.set(container.name, container);
  }

  /** Gives it a name that was checked. */
  rename(container: SimulatedContainer, name: string): void {
    this.#byName.delete(container.name);
    container.name = name;
    this.#byName.set(name, container);
  }

  delete(container: SimulatedContainer): void {
    this.#byId.delete(container.id);
    this.#byName.delete(container.name);
  }
}

function ambiguous(reference: string, candidates: readonly SimulatedContainer[]): FleetError {
  return failureFromAnswer(500, `Multiple IDs found with provided prefix: ${reference}`).with({
    candidates: candidates
      .slice(0, 16)
      .map(({ id }) => id)
      .join(","),
  });
}
