import type { Command } from "commander";
import { HostSchema } from "../../gen/fairlead/host/v1/host_pb.js";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";

/** `fairlead hosts rename`: another name for a host. */
export function addHostsRenameCommand(hosts: Command, line: CommandLine): void {
  const rename = hosts
    .command("rename")
    .summary("give a host another name")
    .argument("<host>", "name or id")
    .argument("<new-name>", 'letters, digits, ".", "_" and "-"');
  addClientOptions(rename).action(clientAction(line, renameHost));
}

async function renameHost(
  invocation: Invocation,
  _options: object,
  [host = "", displayName = ""]: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  const { host: renamed } = await client.hosts.updateHost({ host, displayName }, call);
  if (renamed === undefined) {
    return;
  }
  if (invocation.json) {
    invocation.printJson(messageToJson(HostSchema, renamed));
  } else {
    invocation.print(`${escapeText(renamed.name)}\n`);
  }
}
