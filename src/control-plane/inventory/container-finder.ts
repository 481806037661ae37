import { FleetError } from "../../domain/errors.ts";
import type { HostInventory, InventoryEntry, InventoryObserver } from "./host-inventory.ts";
import { everyHost, type HostTest } from "./host-view.ts";
import { compareText } from "./order.ts";
import { OwnerIndex } from "./owner-index.ts";

/** As many characters of an id as `docker ps` shows, and so what people paste. */
const shortIdLength = 12;

/** How many candidates an error lists. */
const candidateLimit = 10;

/**
 * Finds containers by what people call them, in Docker's precedence: full id, then name, then prefix of an id. Names,
 * full ids and prefixes as `docker ps` prints them are looked up; only a shorter prefix looks at every container.
 */
export class ContainerFinder implements InventoryObserver {
  readonly #hosts: () => Iterable<HostInventory>;
  readonly #byName = new OwnerIndex<InventoryEntry>();
  readonly #byShortId = new OwnerIndex<InventoryEntry>();

  /** `hosts` tells the hosts of the fleet whenever it is asked. */
  constructor(hosts: () => Iterable<HostInventory>) {
    this.#hosts = hosts;
  }

  added(entry: InventoryEntry): void {
    this.#byName.add(entry.container.name, entry);
    this.#byShortId.add(shortId(entry.container.id), entry);
  }

  removed(entry: InventoryEntry): void {
    this.#byName.delete(entry.container.name, entry);
    this.#byShortId.delete(shortId(entry.container.id), entry);
  }

  /** The container of one host. Undefined: it has none of that name or id. Throws `CONTAINER_AMBIGUOUS`. */
  findOn(host: HostInventory, reference: string): InventoryEntry | undefined {
    const entries = [...host.entries()];
    return theOne(
      reference,
      () => entries.filter(({ container }) => container.id === reference),
      () => entries.filter(({ container }) => container.name === nameOf(reference)),
      () => entries.filter(({ container }) => container.id.startsWith(reference)),
    );
  }

  /**
   * The container, wherever in the fleet it is, on those hosts that exist for whoever asks. Throws `CONTAINER_NOT_FOUND`
   * or `CONTAINER_AMBIGUOUS`.
   */
  requireAnywhere(reference: string, sees: HostTest = everyHost): InventoryEntry {
    const seen = (entries: readonly InventoryEntry[]) =>
      sees === everyHost ? entries : entries.filter(({ host }) => sees(host.view));
    const withShortId = seen(this.#byShortId.get(shortId(reference)));
    const entry = theOne(
      reference,
      () => withShortId.filter(({ container }) => container.id === reference),
      () => seen(this.#byName.get(nameOf(reference))),
      () =>
        reference.length < shortIdLength
          ? seen(this.#withPrefix(reference))
          : withShortId.filter(({ container }) => container.id.startsWith(reference)),
    );
    if (entry === undefined) {
      throw new FleetError(
        "CONTAINER_NOT_FOUND",
        `no host of the fleet is known to have a container "${reference}"; name its host to ask the host itself`,
        { metadata: { container: reference } },
      );
    }
    return entry;
  }

  #withPrefix(prefix: string): InventoryEntry[] {
    const found: InventoryEntry[] = [];
    for (const host of this.#hosts()) {
      for (const entry of host.entries()) {
        if (entry.container.id.startsWith(prefix)) {
          found.push(entry);
        }
      }
    }
    return found;
  }
}

/** The only container of the first search that finds any. Throws when it finds several. */
function theOne(
  reference: string,
  ...searches: readonly (() => readonly InventoryEntry[])[]
): InventoryEntry | undefined {
  for (const search of searches) {
    const found = search();
    const first = found[0];
    if (first !== undefined) {
      return found.length === 1 ? first : newestOfOneHost(reference, found);
    }
  }
  return undefined;
}

// An engine has one container of a name. Where two are known, the older one is a leftover that the snapshot under way
// will clear; entries come in the order in which they got their names.
function newestOfOneHost(reference: string, found: readonly InventoryEntry[]): InventoryEntry {
  const newest = found.at(-1);
  const isName = newest?.container.name === nameOf(reference);
  if (newest !== undefined && isName && found.every(({ host }) => host === newest.host)) {
    return newest;
  }
  throw ambiguous(reference, found);
}

function ambiguous(reference: string, found: readonly InventoryEntry[]): FleetError {
  const candidates = found
    .map(({ host, container }) => `${host.view.hostName}/${container.name} (${shortId(container.id)})`)
    .toSorted(compareText);
  const listed = candidates.slice(0, candidateLimit).join(", ");
  const rest = candidates.length - candidateLimit;
  return new FleetError(
    "CONTAINER_AMBIGUOUS",
    `"${reference}" can mean ${candidates.length} containers: ${listed}${rest > 0 ? ` and ${rest} more` : ""}; name its host or more of its id`,
    { metadata: { container: reference, candidates: listed, candidate_count: `${candidates.length}` } },
  );
}

// Docker's own API writes names with a slash in front.
function nameOf(reference: string): string {
  return reference.startsWith("/") ? reference.slice(1) : reference;
}

function shortId(id: string): string {
  return id.slice(0, shortIdLength);
}
