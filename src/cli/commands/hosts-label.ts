import { type Command, InvalidArgumentError } from "commander";
import { HostSchema } from "../../gen/fairlead/host/v1/host_pb.js";
import { parseKeyValue } from "../grammar/key-value.ts";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";

/** `fairlead hosts label`: shows and changes the labels of a host. */
export function addHostsLabelCommand(hosts: Command, line: CommandLine): void {
  const label = hosts
    .command("label")
    .summary("show or change the labels of a host")
    .argument("<host>", "name or id")
    .argument("[label...]", '"key=value" sets a label, "key-" takes it away; none: only show them');
  addClientOptions(label).action(clientAction(line, labelHost));
}

async function labelHost(
  invocation: Invocation,
  _options: object,
  [name = "", ...changes]: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  // Looked at first, so that a mistake is told before anything is asked of the server.
  const change = labelChange(changes);
  const before = await client.hosts.getHost({ host: name }, call);
  const labels = change(before.host?.labels ?? {});
  const { host } =
    changes.length === 0
      ? before
      : await client.hosts.updateHost({ host: before.host?.id ?? name, labels: { labels } }, call);
  if (host === undefined) {
    return;
  }
  if (invocation.json) {
    invocation.printJson(messageToJson(HostSchema, host));
    return;
  }
  const lines = Object.entries(host.labels)
    .map(([key, value]) => `${escapeText(key)}=${escapeText(value)}\n`)
    .toSorted();
  invocation.print(lines.join(""));
}

type Labels = Readonly<Record<string, string>>;

/** What changes make of labels. Throws `InvalidArgumentError` for what is no change. */
function labelChange(changes: readonly string[]): (labels: Labels) => Record<string, string> {
  const wanted = changes.map((change): readonly [key: string, value: string | undefined] => {
    const [key, value] = parseKeyValue(change);
    if (value !== undefined) {
      return [key, value];
    }
    if (!key.endsWith("-") || key === "-") {
      throw new InvalidArgumentError(`Write "${key}=value" to set a label, "${key}-" to take it away.`);
    }
    return [key.slice(0, -1), undefined];
  });
  return (labels) => {
    const result = new Map(Object.entries(labels));
    for (const [key, value] of wanted) {
      if (value === undefined) {
        result.delete(key);
      } else {
        result.set(key, value);
      }
    }
    return Object.fromEntries(result);
  };
}
