import type { LabelSelector, Policy, PortRange } from "./policy.ts";

// What the schema takes of a line; and of all lines what fits into a Hello beside all else.
const maxCharacters = 256;
const maxBytes = 4096;

/** The rules of a policy in words, in the order of the file and named as there. What only repeats the default is left out. */
export function policySummary(policy: Policy): string[] {
  const { create } = policy;
  const lines = [
    `read_only: ${policy.readOnly}`,
    `default: ${policy.default}`,
    ...[...policy.operations].map(([name, verdict]) => `operations.${name}: ${verdict}`),
    ...lineOf("containers.only_labels", policy.onlyLabels?.map(selectorText)),
    ...lineOf("containers.except_labels", policy.exceptLabels.map(selectorText)),
    ...lineOf("create.privileged", create.privileged),
    ...lineOf("create.host_network", create.hostNetwork),
    ...lineOf("create.bind_mounts", create.bindMounts),
    ...lineOf("create.images", create.images),
    ...lineOf("create.published_ports", portsText(create.publishedPorts)),
  ];
  return fitting(lines.map((line) => cutText(line, maxCharacters)));
}

function fitting(lines: readonly string[]): string[] {
  let bytes = 0;
  const end = lines.findIndex((line) => (bytes += Buffer.byteLength(line)) > maxBytes);
  return end < 0 ? [...lines] : [...lines.slice(0, end), "…"];
}

/** A text of so many characters at most, which says where something was left out. */
export function cutText(text: string, characters: number): string {
  const sound = text.toWellFormed();
  return sound.length <= characters ? sound : `${sound.slice(0, characters - 1).toWellFormed()}…`;
}

function lineOf(path: string, rule: string | readonly string[] | undefined): string[] {
  if (rule === undefined || rule.length === 0 || rule === "allow") return [];
  return [`${path}: ${typeof rule === "string" ? rule : rule.join(", ")}`];
}

function selectorText({ key, value }: LabelSelector): string {
  return value === undefined ? key : `${key}=${value}`;
}

function portsText(ports: string | readonly PortRange[]): string | string[] {
  if (typeof ports === "string") return ports;
  return ports.map(({ first, last, protocol }) => {
    const range = first === last ? `${first}` : `${first}-${last}`;
    return protocol === undefined ? range : `${range}/${protocol}`;
  });
}
