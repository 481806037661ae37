import { posix } from "node:path";
import { operationNames } from "../../../rpc/operation-traits.ts";
import {
  type CreateRules,
  type LabelSelector,
  openPolicy,
  type Policy,
  type PortProtocol,
  type PortRange,
  type Verdict,
} from "./policy.ts";
import { type PolicyEntry, PolicyReader } from "./policy-reader.ts";

type Members = ReadonlyMap<string, PolicyEntry>;

const verdicts = ["allow", "deny"] as const;
const topKeys = ["read_only", "default", "operations", "containers", "create"];
const containerKeys = ["only_labels", "except_labels"];
const createKeys = ["privileged", "host_network", "bind_mounts", "images", "published_ports"];

/**
 * Reads the text of a policy file, docs/host-policy.md. Throws `INVALID_ARGUMENT` that names line and key for whatever it
 * does not understand: a rule that is not understood must not be taken for none.
 */
export function parsePolicy(text: string): Policy {
  const reader = new PolicyReader(text);
  const members = reader.members(reader.root, topKeys);
  const section = (name: string, known: readonly string[]): Members => {
    const entry = members.get(name);
    return entry === undefined ? new Map() : reader.members(entry, known);
  };
  const containers = section("containers", containerKeys);
  const onlyLabels = containers.get("only_labels");
  return {
    readOnly: read(members.get("read_only"), (entry) => reader.flag(entry), openPolicy.readOnly),
    default: verdictFrom(reader, members.get("default")),
    operations: new Map(
      [...section("operations", operationNames)].map(([name, entry]) => [name, verdictFrom(reader, entry)]),
    ),
    onlyLabels: onlyLabels && selectorsFrom(reader, onlyLabels),
    exceptLabels: read(
      containers.get("except_labels"),
      (entry) => selectorsFrom(reader, entry),
      openPolicy.exceptLabels,
    ),
    create: createRulesFrom(reader, section("create", createKeys)),
  };
}

function createRulesFrom(reader: PolicyReader, members: Members): CreateRules {
  const images = members.get("images");
  return {
    privileged: verdictFrom(reader, members.get("privileged")),
    hostNetwork: verdictFrom(reader, members.get("host_network")),
    bindMounts: verdictOrList(reader, members.get("bind_mounts"), (text, item) => {
      if (isPlainPath(text)) return text;
      throw reader.fault(item, `must be an absolute path without "..", "//" or a slash at its end`);
    }),
    images: images && reader.list(images, (text) => text),
    publishedPorts: verdictOrList(reader, members.get("published_ports"), (text, item) => {
      const range = portRangeFrom(text);
      if (range !== undefined) return range;
      throw reader.fault(
        item,
        'must be a port or a range, for example "8000-8999/tcp", or 0 for any free port',
      );
    }),
  };
}

function read<Value>(
  entry: PolicyEntry | undefined,
  from: (entry: PolicyEntry) => Value,
  otherwise: Value,
): Value {
  return entry === undefined ? otherwise : from(entry);
}

function verdictFrom(reader: PolicyReader, entry: PolicyEntry | undefined): Verdict {
  return read<Verdict>(entry, (given) => reader.word(given, verdicts), "allow");
}

function verdictOrList<Item>(
  reader: PolicyReader,
  entry: PolicyEntry | undefined,
  item: (text: string, item: PolicyEntry) => Item,
): Verdict | readonly Item[] {
  if (entry !== undefined && reader.isList(entry)) return reader.list(entry, item);
  return verdictFrom(reader, entry);
}

function selectorsFrom(reader: PolicyReader, entry: PolicyEntry): LabelSelector[] {
  return reader.list(entry, (text, item) => {
    const at = text.indexOf("=");
    if (at === 0) throw reader.fault(item, 'must be "key" or "key=value"');
    return at < 0 ? { key: text, value: undefined } : { key: text.slice(0, at), value: text.slice(at + 1) };
  });
}

function isPlainPath(path: string): boolean {
  return path === "/" || (path.startsWith("/") && posix.normalize(path) === path && !path.endsWith("/"));
}

function portRangeFrom(text: string): PortRange | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(text);
  if (match === null) return undefined;
  const [, from = "", to = from] = match;
  const range = { first: Number(from), last: Number(to), protocol: match[3] as PortProtocol | undefined };
  const isAnyFree = range.first === 0 && range.last === 0;
  return isAnyFree || (range.first >= 1 && range.first <= range.last && range.last <= 65_535)
    ? range
    : undefined;
}
