import type { Command } from "commander";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { settleInOrder } from "../settle-in-order.ts";

/** `fairlead hosts rotate-key`: other keys for agents that are connected. */
export function addHostsRotateKeyCommand(hosts: Command, line: CommandLine): void {
  const rotate = hosts
    .command("rotate-key")
    .summary("give the hosts' agents other keys; the ones that they had are refused afterwards")
    .argument("<host...>", "name or id");
  addClientOptions(rotate).action(clientAction(line, rotateKeys));
}

async function rotateKeys(invocation: Invocation, _options: object, names: readonly string[]): Promise<void> {
  const { client, call } = invocation;
  const rotated = await settleInOrder(names, (host) => client.hosts.rotateAgentKey({ host }, call), {
    onAnswer: (_answer, index) => {
      if (!invocation.json) {
        invocation.print(`${escapeText(names[index] ?? "")}\n`);
      }
    },
    onFailure: (error, index) => invocation.fail(error, names.length > 1 ? names[index] : undefined),
  });
  if (invocation.json) {
    invocation.printJson(rotated.map(({ keyDigest }) => ({ keyDigest })));
  }
}
