import { isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { FleetError } from "../../../domain/errors.ts";

/** A value of the file, and where it stands. */
export interface PolicyEntry {
  /** For example "create.bind_mounts". */
  readonly path: string;
  readonly node: unknown;
  /** Where it begins, in characters. */
  readonly offset: number;
}

/** Reads values out of a YAML text, and says of each that is not as it should be on which line it stands. */
export class PolicyReader {
  readonly #lines = new LineCounter();
  /** The whole of it. */
  readonly root: PolicyEntry;

  /** Throws `INVALID_ARGUMENT` for a text that is not one YAML document. */
  constructor(text: string) {
    const options = { lineCounter: this.#lines, prettyErrors: false, schema: "core", merge: false } as const;
    const document = parseDocument(text, options);
    const [fault] = [...document.errors, ...document.warnings];
    if (fault !== undefined) {
      throw this.fault({ path: "", node: undefined, offset: fault.pos[0] }, fault.message);
    }
    this.root = { path: "", node: document.contents, offset: 0 };
  }

  /** The members of a map. Each must be one of `known`. */
  members(entry: PolicyEntry, known: readonly string[]): ReadonlyMap<string, PolicyEntry> {
    if (!isMap(entry.node)) throw this.fault(entry, `must have keys below it: ${known.join(", ")}`);
    const members = new Map<string, PolicyEntry>();
    for (const { key, value } of entry.node.items) {
      const name = isScalar(key) ? String(key.value) : "?";
      const path = entry.path === "" ? name : `${entry.path}.${name}`;
      const member = { path, node: value, offset: offsetOf(key) };
      if (!known.includes(name)) throw this.fault(member, `is not known here; known: ${known.join(", ")}`);
      members.set(name, member);
    }
    return members;
  }

  /** True or false. */
  flag(entry: PolicyEntry): boolean {
    const value = isScalar(entry.node) ? entry.node.value : undefined;
    if (typeof value !== "boolean") throw this.fault(entry, "must be true or false");
    return value;
  }

  /** One of a few words. Undefined, where a list may stand instead: it is one. */
  word<Word extends string>(entry: PolicyEntry, words: readonly Word[]): Word {
    const word = words.find((choice) => isScalar(entry.node) && entry.node.value === choice);
    if (word === undefined) throw this.fault(entry, `must be ${words.join(" or ")}`);
    return word;
  }

  /** Whether a list stands there. */
  isList(entry: PolicyEntry): boolean {
    return isSeq(entry.node);
  }

  /** The items of a list of texts, each as `read` makes it out of its text. */
  list<Item>(entry: PolicyEntry, read: (text: string, item: PolicyEntry) => Item): Item[] {
    if (!isSeq(entry.node)) throw this.fault(entry, "must be a list");
    if (entry.node.items.length === 0) throw this.fault(entry, "is an empty list, which says nothing");
    return entry.node.items.map((node, index) => {
      const item = { path: `${entry.path}[${index}]`, node, offset: offsetOf(node) };
      return read(this.#text(item), item);
    });
  }

  /** The error about a value. */
  fault({ path, offset }: PolicyEntry, what: string): FleetError {
    const line = `line ${this.#lines.linePos(offset).line}`;
    return new FleetError("INVALID_ARGUMENT", path === "" ? `${line}: ${what}` : `${line}: ${path} ${what}`);
  }

  #text(item: PolicyEntry): string {
    const { node } = item;
    if (isScalar(node) && typeof node.value === "string" && /^[^\p{Cc}]{1,1024}$/u.test(node.value)) {
      return node.value;
    }
    // A port is a number to YAML.
    if (isScalar(node) && typeof node.value === "number") return node.source ?? `${node.value}`;
    throw this.fault(item, "must be a text of at most 1024 characters");
  }
}

function offsetOf(node: unknown): number {
  return (node as { readonly range?: readonly number[] | null } | null)?.range?.[0] ?? 0;
}
