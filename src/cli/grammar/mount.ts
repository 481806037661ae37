import { InvalidArgumentError } from "commander";
import { MountSpec_Type } from "../../gen/fairlead/container/v1/container_spec_pb.js";

/** Something to mount, as `MountSpec` has it. */
export interface RequestedMount {
  readonly type: MountSpec_Type;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

const types = new Map([
  ["bind", MountSpec_Type.BIND],
  ["volume", MountSpec_Type.VOLUME],
  ["tmpfs", MountSpec_Type.TMPFS],
]);

/**
 * A mount from docker's -v: `[source:]target[:ro|rw]`. A source that begins with "/" is a path of the host,
 * any other a volume's name, none an anonymous volume. Throws `InvalidArgumentError`.
 */
export function parseVolume(text: string): RequestedMount {
  const parts = text.split(":");
  const mode = parts.length > 1 && /^(ro|rw)$/.test(parts.at(-1) ?? "") ? parts.pop() : "rw";
  const [target = "", source = ""] = parts.toReversed();
  if (parts.length > 2) {
    throw new InvalidArgumentError('Write it as [source:]target[:ro], for example "data:/var/lib/data".');
  }
  if (/^[.~]/.test(source)) {
    throw new InvalidArgumentError(
      "The path is one of the host that the container runs on: write it from / on.",
    );
  }
  const type = source.startsWith("/") ? MountSpec_Type.BIND : MountSpec_Type.VOLUME;
  return { type, source, target: requireAbsolute(target), readOnly: mode === "ro" };
}

/** A mount from docker's --mount: `type=bind,source=/srv,target=/data,readonly`. Throws `InvalidArgumentError`. */
export function parseMount(text: string): RequestedMount {
  const fields = new Map(text.split(",").map(splitField));
  const type = types.get(fields.get("type") ?? "volume");
  if (type === undefined) {
    throw new InvalidArgumentError("The type of a mount is bind, volume or tmpfs.");
  }
  const source = fields.get("source") ?? "";
  if (type === MountSpec_Type.BIND && !source.startsWith("/")) {
    throw new InvalidArgumentError("A bind mount needs a source: a path of the host, from / on.");
  }
  if (type === MountSpec_Type.TMPFS && source !== "") {
    throw new InvalidArgumentError("A tmpfs mount has no source.");
  }
  return {
    type,
    source,
    target: requireAbsolute(fields.get("target") ?? ""),
    readOnly: isTrue(fields.get("readonly")),
  };
}

/** A mount from docker's --tmpfs: the path inside. Throws `InvalidArgumentError`. */
export function parseTmpfs(text: string): RequestedMount {
  return { type: MountSpec_Type.TMPFS, source: "", target: requireAbsolute(text), readOnly: false };
}

const synonyms = new Map([
  ["src", "source"],
  ["dst", "target"],
  ["destination", "target"],
  ["ro", "readonly"],
]);
const known = new Set(["type", "source", "target", "readonly"]);

function splitField(field: string): [string, string] {
  const [, key = "", value = "true"] = /^([^=]*)(?:=(.*))?$/s.exec(field) ?? [];
  const name = synonyms.get(key) ?? key;
  if (!known.has(name)) {
    throw new InvalidArgumentError(`"${key}" is no field of a mount: type, source, target and readonly are.`);
  }
  return [name, value];
}

function isTrue(value = "false"): boolean {
  if (!/^(true|false|1|0)$/.test(value)) {
    throw new InvalidArgumentError("readonly is true or false.");
  }
  return value === "true" || value === "1";
}

function requireAbsolute(target: string): string {
  if (!target.startsWith("/")) {
    throw new InvalidArgumentError("The path inside the container must begin with /.");
  }
  return target;
}
