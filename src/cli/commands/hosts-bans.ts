import type { Command } from "commander";
import { EngineBanSchema } from "../../gen/fairlead/host/v1/host_service_pb.js";
import { addClientOptions, clientAction } from "../invocation.ts";
import type { CommandLine, Invocation } from "../invocation.ts";
import { escapeText } from "../output/escape.ts";
import { messageToJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";
import { agoInWords } from "../output/times.ts";
import { collectItems, largestPage } from "../pages.ts";

/** `fairlead hosts bans`: the engines that may not be enrolled. */
export function addHostsBansCommand(hosts: Command, line: CommandLine): void {
  const bans = hosts.command("bans").summary("list and lift the bans of engines");
  const list = bans.command("ls", { isDefault: true }).summary("list the engines that may not be enrolled");
  addClientOptions(list).action(clientAction(line, printBans));
  const lift = bans
    .command("lift")
    .summary("let an engine be enrolled again")
    .argument("<engine-id>", "as `hosts bans` shows it");
  addClientOptions(lift).action(clientAction(line, liftBan));
}

async function printBans(invocation: Invocation): Promise<void> {
  const { client, call, environment } = invocation;
  const bans = await collectItems(
    (pageToken) => client.hosts.listEngineBans({ pageSize: largestPage, pageToken }, call),
    (page) => page.engineBans,
  );
  if (invocation.json) {
    invocation.printJson(bans.map((ban) => messageToJson(EngineBanSchema, ban)));
    return;
  }
  const nowMs = environment.clock.now();
  const rows = bans.map((ban) => [
    escapeText(ban.engineId),
    escapeText(ban.hostName),
    escapeText(ban.bannedBy),
    agoInWords(ban.banTime, nowMs),
  ]);
  invocation.print(formatTable(["ENGINE ID", "HOST", "BANNED BY", "BANNED"], rows));
}

async function liftBan(
  invocation: Invocation,
  _options: object,
  [engineId = ""]: readonly string[],
): Promise<void> {
  const { client, call } = invocation;
  const { engineBan } = await client.hosts.liftEngineBan({ engineId }, call);
  if (engineBan === undefined) {
    return;
  }
  if (invocation.json) {
    invocation.printJson(messageToJson(EngineBanSchema, engineBan));
  } else {
    invocation.print(`${escapeText(engineBan.engineId)}\n`);
  }
}
